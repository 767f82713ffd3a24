/**
 * The syntax of permission rules, `Tool` or `Tool(content)`, as clients read it. A rule that a
 * client cannot read is a permission nobody enforces, so boot refuses it. Pure.
 */

export type RuleList = 'allow' | 'ask' | 'deny'

/** What a rule of `list` should be instead, in words that complete "expected …"; null when fine. */
export function ruleProblem(rule: string, list: RuleList): string | null {
  const text = rule.trim()
  if (text === '') return 'a rule, Tool or Tool(content)'
  const open = text.indexOf('(')
  if ((open < 0 && text.includes(')')) || (open >= 0 && !text.endsWith(')'))) {
    return 'Tool or Tool(content), ending at the closing parenthesis'
  }
  const tool = open < 0 ? text : text.slice(0, open)
  const content = open < 0 ? null : text.slice(open + 1, -1)
  if (content === '') return `${tool} without parentheses, or with something between them`
  if (/^[a-z][a-zA-Z]*$/.test(tool)) return `a tool name with a capital letter, ${capital(tool)}`
  if (list === 'allow' && tool.includes('*') && !/^mcp__[^*]+__/.test(tool)) {
    return 'a tool without *, or mcp__<server>__* (in allow, a wildcard must name its server)'
  }
  return content === null ? null : contentProblem(tool, content)
}

function contentProblem(tool: string, content: string): string | null {
  if (tool.startsWith('mcp__')) return `${tool} without parentheses, or ${serverOf(tool)}__*`
  switch (tool) {
    case 'WebFetch':
      return /^https?:/.test(content) ? 'WebFetch(domain:<host>), not a URL' : null
    case 'WebSearch':
      return content !== '*' && /[*?]/.test(content) ? 'search terms without * and ?' : null
    case 'Bash':
      return content.startsWith(':*') ? 'a command before :*, as in Bash(npm:*)' : null
    case 'Read':
    case 'Edit':
      return content.endsWith(':*')
        ? `a file pattern such as ${tool}(src/**); :* is for Bash`
        : null
    default:
      return null
  }
}

function capital(tool: string): string {
  return tool.charAt(0).toUpperCase() + tool.slice(1)
}

/** `mcp__server` of `mcp__server__tool`. */
function serverOf(tool: string): string {
  return tool.split('__').slice(0, 2).join('__')
}
