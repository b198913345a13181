/*
 * A carrier played by npm's smpp. Takes one order a line on standard input, as JSON, and answers
 * each with one line on standard output:
 *
 *   {"dial": PORT}                     connect                                      → []
 *   {"listen": true}                   have the gateway dial us                     → [{port}]
 *   {"send": [[COMMAND, FIELDS], …]}   send all, then wait for all responses        → responses
 *   {"tell": [[COMMAND, FIELDS], …]}   send all, expect nothing                     → []
 *   {"await": COMMAND, "times": N}     wait until the gateway has asked so N times  → its requests
 *   {"closed": true}                   wait for the end of the connection           → []
 *
 * Octets are written {"hex": "…"}. What the gateway asks is answered ESME_ROK as it comes.
 */
'use strict';

const readline = require('readline');
const smpp = require('smpp');

smpp.addTLV('vendor_tlv', {id: 0x1401, type: smpp.tlvs.message_payload.type});

let session;
let ended;
const asked = [];
let noticed = () => {};

function octets(value) {
  if (value === null || typeof value !== 'object') return value;
  if ('hex' in value) return Buffer.from(value.hex, 'hex');
  if (Array.isArray(value)) return value.map(octets);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, octets(each)]));
}

function told(pdu) {
  const {command, command_status: status, sequence_number: sequence, ...rest} = pdu;
  const fields = {};
  for (const name of [
    'system_id', 'password', 'interface_version', 'sc_interface_version', 'message_id',
  ]) {
    if (rest[name] !== undefined) fields[name] = rest[name];
  }
  return {command, status, sequence, ...fields};
}

function begin(begun) {
  session = begun;
  session.socket.setNoDelay(true);
  ended = new Promise((done) => session.on('close', () => done([])));
  session.on('error', (error) => process.stderr.write(`${error.stack}\n`));
  session.on('pdu', (pdu) => {
    if (pdu.isResponse()) return;
    const fields = pdu.command.startsWith('bind_') ? {system_id: 'smsc'} : {};
    session.send(pdu.response(fields), () => {
      asked.push(told(pdu));
      noticed();
    });
  });
}

function dial(port) {
  return new Promise((resolve, reject) => {
    begin(smpp.connect({url: `smpp://127.0.0.1:${port}`}, () => resolve([])));
    session.on('error', reject);
  });
}

function listen() {
  return new Promise((resolve) => {
    const server = smpp.createServer(begin);
    server.listen(0, '127.0.0.1', () => resolve([{port: server.address().port}]));
    server.unref();
  });
}

function send(requests) {
  return Promise.all(requests.map(([command, fields]) => new Promise((resolve, reject) => {
    ended.then(() => reject(new Error(`closed before ${command} was answered`)));
    session[command](octets(fields || {}), (pdu) => resolve(told(pdu)));
  })));
}

function tell(requests) {
  for (const [command, fields] of requests) session[command](octets(fields || {}));
  return [];
}

function wait(command, times) {
  return new Promise((resolve) => {
    noticed = () => {
      const found = asked.filter((each) => each.command === command);
      if (found.length >= times) resolve(found);
    };
    noticed();
  });
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    const order = JSON.parse(line);
    let result;
    if (order.dial) result = await dial(order.dial);
    else if (order.listen) result = await listen();
    else if (order.tell) result = tell(order.tell);
    else if (order.send) result = await send(order.send);
    else if (order.await) result = await wait(order.await, order.times || 1);
    else result = await ended;
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  if (session) session.destroy();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
