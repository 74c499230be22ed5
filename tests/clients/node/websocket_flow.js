// The ws library through the gate.
//
// Guarantees: nonsense is refused; with a token it is let in, texts of three sizes come back, and it closes in order.
// The first surprise ends the run.
// Does not know: who echoes.

'use strict';

const path = require('node:path');
const assert = require('node:assert');
const { ok } = require('./gate.js');

// prepare.sh installs ws there, outside the sources.
module.paths.push(path.join(__dirname, '../../../target/clients/node/node_modules'));

const WebSocket = require('ws');

const open = (token) => new WebSocket(process.env.GATE_SOCKET, { headers: { Authorization: `Bearer ${token}` } });

const refused = () => new Promise((resolve, reject) => {
  const socket = open('nonsense');
  socket.on('open', () => reject(new Error('let in with nonsense')));
  socket.on('error', (error) => resolve(error.message));
});

const echoed = (messages) => new Promise((resolve, reject) => {
  const socket = open(process.env.GATE_TOKEN);
  const heard = [];
  socket.on('error', reject);
  socket.on('open', () => messages.forEach((message) => socket.send(message)));
  socket.on('message', (message) => {
    heard.push(message.toString());
    if (heard.length === messages.length) socket.close(1000);
  });
  socket.on('close', (code) => resolve({ code, heard }));
});

(async () => {
  assert.match(await refused(), /401/);
  ok('refused with nonsense');
  const messages = ['hello', 'ü'.repeat(1000), 'x'.repeat(300000)];
  assert.deepStrictEqual(await echoed(messages), { code: 1000, heard: messages });
  ok('echoed, and closed in order');
})();
