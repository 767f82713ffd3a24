/** Sign-in as people see it: a real Chromium, the real pages, keyboard and colour schemes. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, afterEach, test } from 'node:test'
import type { Page } from 'playwright-core'
import { browserMissing, startBrowser, type ContextOptions } from '../support/browser.ts'
import { send } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { createHeadlessBrowser } from '../support/headless-browser.ts'
import { startIdentityProvider } from '../support/identity-provider.ts'

const skip = browserMissing()
if (skip !== false) test('browser sign-in', { skip }, () => {})
else await runSpecs()

async function runSpecs(): Promise<void> {
  const database = await createDatabase({ after })
  const provider = await startIdentityProvider({ after })
  const gateway = await startGateway(
    { after },
    {
      postgresUrl: database.url,
      issuer: provider.issuer,
      upstream: 'http://127.0.0.1:9',
      config: {
        login_notice: 'Use your work account',
        rate_limits: { device_verify: { max: 1000 } },
      },
    },
  )
  const browser = await startBrowser({ after })
  provider.signInAs(undefined)
  afterEach(() => provider.signInAs(undefined))

  /** A page whose every complaint, such as a blocked style, fails the spec that opened it. */
  async function openPage(
    options: ContextOptions = {},
  ): Promise<{ page: Page; hosts: Set<string> }> {
    const context = await browser.open(options)
    const page = await context.newPage()
    const hosts = new Set<string>()
    page.on('request', (request) => hosts.add(new URL(request.url()).origin))
    page.on('console', (message) => {
      // Chromium asks for an icon by itself and is told that there is none.
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) {
        assert.fail(`the browser complains: ${message.text()}`)
      }
    })
    page.on('pageerror', (error) => assert.fail(error))
    return { page, hosts }
  }

  async function begin(): Promise<{ deviceCode: string; userCode: string; link: string }> {
    const { body } = await send(`${gateway.url}/oauth/device_authorization`, { body: '' })
    const answer = JSON.parse(body)
    return {
      deviceCode: answer.device_code,
      userCode: answer.user_code,
      link: answer.verification_uri_complete,
    }
  }

  async function poll(deviceCode: string): Promise<Record<string, unknown>> {
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: deviceCode,
    }
    const { body } = await send(`${gateway.url}/oauth/token`, {
      body: new URLSearchParams(form).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    return JSON.parse(body)
  }

  const heading = (page: Page): Promise<string> => page.locator('h1').innerText()

  test('browser: from the link of the terminal to "you are signed in"', async () => {
    const { deviceCode, userCode, link } = await begin()
    const { page, hosts } = await openPage()
    await page.goto(link)
    assert.equal(await page.locator('.code').innerText(), userCode)
    assert.match(await page.locator('dl').innerText(), /127\.0\.0\.1[^]*less than a minute ago/)
    assert.match(
      await page.locator('.note').innerText(),
      /Notice from localhost:\d+: Use your work account/,
    )
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: /Priya Castellan/ }).click()
    assert.equal(await heading(page), 'You are signed in')
    assert.match(await page.locator('main').innerText(), /priya@example\.com/)
    assert.ok(page.url().startsWith(`${gateway.url}/oauth/callback`))
    const answer = await poll(deviceCode)
    assert.equal(answer['email'], 'priya@example.com')
    assert.deepEqual([...hosts].toSorted(), [gateway.url, provider.issuer].toSorted())
    assert.deepEqual(
      await page
        .context()
        .cookies(gateway.url)
        .then((all) => all.filter(({ name }) => name === 'gw_dev')),
      [],
    )
  })

  test('browser: by keyboard alone, typing the code', async () => {
    const { deviceCode, userCode } = await begin()
    const { page } = await openPage()
    await page.goto(`${gateway.url}/device`)
    // The field has the focus by itself, but only once the page is drawn.
    await page.locator('input:focus').waitFor()
    await page.keyboard.type(userCode.toLowerCase().replace('-', ' '))
    await page.keyboard.press('Enter')
    await page.waitForURL(`${provider.issuer}/**`)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${gateway.url}/oauth/callback**`)
    assert.equal(await heading(page), 'You are signed in')
    assert.equal((await poll(deviceCode))['email'], 'mara@example.com')
  })

  test('browser: denying', async () => {
    const { deviceCode, link } = await begin()
    const { page } = await openPage()
    await page.goto(link)
    await page.getByRole('button', { name: 'Deny' }).click()
    assert.equal(await heading(page), 'Sign-in denied')
    assert.deepEqual(await poll(deviceCode), { error: 'access_denied' })
  })

  test('browser: cancelling at the provider', async () => {
    const { deviceCode, link } = await begin()
    const { page } = await openPage()
    await page.goto(link)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    assert.match(
      await page.getByRole('alert').innerText(),
      /access_denied: The person chose to cancel/,
    )
    assert.deepEqual(await poll(deviceCode), { error: 'access_denied' })
  })

  test('browser: a wrong code is announced, and the field is where it was', async () => {
    const { page } = await openPage()
    await page.goto(`${gateway.url}/device`)
    await page.getByLabel('Code').fill('BBBB-BBBB')
    await page.getByRole('button', { name: 'Continue' }).click()
    assert.match(await page.getByRole('alert').innerText(), /not known or has expired/)
    const field = page.getByLabel('Code')
    assert.equal(
      await field.evaluate((element) => element === element.ownerDocument.activeElement),
      true,
    )
    assert.equal(await field.getAttribute('aria-describedby'), 'problem')
  })

  test('browser: whoever tries too many codes is told to wait', async () => {
    const strict = await startGateway(
      { after },
      {
        postgresUrl: database.url,
        issuer: provider.issuer,
        upstream: 'http://127.0.0.1:9',
        config: { rate_limits: { device_verify: { max: 1 } } },
      },
    )
    await database.query(`DELETE FROM kv WHERE key LIKE 'rl:%'`)
    const { page } = await openPage({ viewport: { width: 320, height: 640 } })
    await page.goto(`${strict.url}/device`)
    for (const words of [/not known or has expired/, /Too many attempts came from this network/]) {
      await page.getByLabel('Code').fill('BBBB-BBBB')
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByRole('alert').getByText(words).waitFor()
    }
    assert.match(await page.getByRole('alert').innerText(), /Try again in 10 minutes\./)
    const width = await page.evaluate<number>('document.documentElement.scrollWidth')
    assert.ok(width <= 320, `${width} px on a phone of 320`)
    await database.query(`DELETE FROM kv WHERE key LIKE 'rl:%'`)
  })

  test('browser: another site cannot make it approve', async () => {
    const { deviceCode, userCode } = await begin()
    const evil = createServer((_, response) => {
      response.setHeader('content-type', 'text/html')
      response.end(
        `<form method="post" action="${gateway.url}/device"><input name="user_code" value="${userCode}"><button>Win</button></form>`,
      )
    })
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve))
    const address = evil.address()
    const { page } = await openPage()
    await page.goto(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`)
    await page.getByRole('button', { name: 'Win' }).click()
    assert.match(await page.getByRole('alert').innerText(), /came from another site/)
    assert.deepEqual(await poll(deviceCode), { error: 'authorization_pending' })
    evil.close()
  })

  test('browser: a link finished in another profile signs nobody in', async () => {
    const { deviceCode, userCode } = await begin()
    provider.signInAs('u-mara')
    const attacker = createHeadlessBrowser()
    const reply = await attacker.post(`${gateway.url}/device`, { user_code: userCode })
    const callback = `${gateway.url}/oauth/callback`
    const { url: bait } = await attacker.follow(reply.headers.get('location') ?? '', callback)
    const { page } = await openPage()
    await page.goto(bait)
    assert.equal(await heading(page), 'Started in another browser')
    assert.deepEqual(await poll(deviceCode), { error: 'authorization_pending' })
  })

  test('browser: over plain http on a company name the form still counts as our own', async () => {
    // Chromium tells such servers nothing by Sec-Fetch-Site, and its Origin only when the page
    // lets it: the header on every answer says "no-referrer", which would make it null.
    const port = await freePort()
    const public_url = `http://gateway.test:${port}`
    await startGateway(
      { after },
      {
        postgresUrl: database.url,
        issuer: provider.issuer,
        upstream: 'http://127.0.0.1:9',
        config: { listen: { host: '127.0.0.1', port, public_url } },
      },
    )
    const { body } = await send(`http://127.0.0.1:${port}/oauth/device_authorization`, { body: '' })
    const page = await (await browser.open()).newPage()
    await page.goto(JSON.parse(body).verification_uri_complete)
    await page.getByRole('button', { name: 'Continue' }).click()
    // The provider does not know this callback; that it is asked is what counts here.
    assert.ok(page.url().startsWith(provider.issuer), await page.locator('main').innerText())
  })

  test('browser: the landing page leads to the discovery document and the protocol', async () => {
    const { page } = await openPage()
    await page.goto(gateway.url)
    assert.match(await page.locator('main').innerText(), new RegExp(gateway.url))
    for (const name of ['Discovery document', 'Protocol']) {
      const href = await page.getByRole('link', { name }).getAttribute('href')
      assert.equal((await send(`${gateway.url}${href}`)).status, 200)
    }
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`browser: pages fit a phone and follow the ${colorScheme} scheme`, async () => {
      const { link } = await begin()
      const { page } = await openPage({ colorScheme, viewport: { width: 320, height: 640 } })
      for (const url of [link, `${gateway.url}/device`, gateway.url]) {
        await page.goto(url)
        const { overflow, ground } = await page.evaluate<{ overflow: number; ground: string }>(
          `({ overflow: document.documentElement.scrollWidth - innerWidth,
              ground: getComputedStyle(document.body).backgroundColor })`,
        )
        assert.ok(overflow <= 0, `${url} is ${overflow} px too wide`)
        const [red = 0] = [...ground.matchAll(/\d+/g)].map(Number)
        assert.equal(red > 128, colorScheme === 'light', ground)
        assert.equal(await page.getByRole('main').count(), 1)
        assert.equal(await page.locator('h1').count(), 1)
        assert.equal(await page.locator('script').count(), 0)
      }
    })
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
