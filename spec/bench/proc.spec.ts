import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { parseCpuSeconds, parseResidentBytes, readUsage } from '../../bench/proc.ts'

const stat =
  '4711 (node) S 1 4711 4711 0 -1 4194304 99 0 0 0 1234 66 7 8 20 0 11 0 108618 3133440 381 18446744073709551615'

test('proc: CPU time is user plus system time, without that of dead children', () => {
  assert.equal(parseCpuSeconds(stat), 13)
})

test('proc: a program named like the rest of the line does not shift the fields', () => {
  assert.equal(parseCpuSeconds(stat.replace('(node)', '(a) S 1 (b c)')), 13)
})

test('proc: a line of another shape is an error, not a zero', () => {
  assert.throws(() => parseCpuSeconds('4711 (node) S 1'), /not a \/proc\/PID\/stat line/)
  assert.throws(() => parseCpuSeconds(''), /not a \/proc\/PID\/stat line/)
})

test('proc: resident memory is VmRSS in bytes, not the peak and not the virtual size', () => {
  const status = 'Name:\tnode\nVmPeak:\t  900 kB\nVmHWM:\t  800 kB\nVmRSS:\t  500 kB\nThreads:\t1\n'
  assert.equal(parseResidentBytes(status), 512_000)
})

test('proc: a zombie has no memory to report and is an error', () => {
  assert.throws(() => parseResidentBytes('Name:\tnode\nState:\tZ (zombie)\n'), /VmRSS/)
})

test('proc: agrees with what node says about itself', () => {
  const before = readUsage(process.pid).cpuSeconds
  const start = process.cpuUsage()
  const until = performance.now() + 150
  while (performance.now() < until) JSON.stringify(process.versions)
  const used = process.cpuUsage(start)
  const measured = readUsage(process.pid).cpuSeconds - before
  // Both sides of the difference are cut to the kernel's ticks of 10 ms.
  assert.ok(Math.abs(measured - (used.user + used.system) / 1e6) <= 0.03, `${measured} s`)
  const resident = readUsage(process.pid).residentBytes
  assert.ok(Math.abs(resident - process.memoryUsage.rss()) < 16e6, `${resident} bytes`)
})

test('proc: a process that is gone is an error', async () => {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  const { pid } = child
  assert.ok(pid !== undefined)
  assert.throws(() => readUsage(pid))
})
