import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginNotice } from '../../lib/identity/login-notice.ts'

test('login notice: it is shown with the host it comes from', () => {
  assert.deepEqual(loginNotice('Use your work account', 'https://gw.example.com:8443'), {
    host: 'gw.example.com:8443',
    text: 'Use your work account',
  })
})

test('login notice: none is none', () => {
  assert.equal(loginNotice(undefined, 'https://gw.example.com'), undefined)
})
