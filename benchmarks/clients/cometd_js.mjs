// The CometD project's JavaScript client under measurement; arguments as `ours.py`.
import { createRequire } from 'node:module';
const require = createRequire(process.env.PEERS + '/');
const adapter = await import(require.resolve('cometd-nodejs-client'));
const library = await import(require.resolve('cometd'));
(adapter.adapt || adapter.default.adapt)();
const CometD = library.CometD || library.default.CometD;

const [, , url, control, carrier, test, count] = process.argv;
const CHANNEL = '/service/chatV2/customer-support';
const BURSTS = 5; // as in measuring.py
const now = () => Number(process.hrtime.bigint()) / 1e6;
const cpu = () => { const used = process.cpuUsage(); return used.user + used.system; };
function quantiles(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const at = (share) => ordered[Math.floor(ordered.length * share)];
  return { median: at(0.5), p10: at(0.1), p90: at(0.9) };
}

async function chat(onEnvelope) {
  const client = new CometD();
  if (carrier === 'ws') { client.unregisterTransport('long-polling'); client.unregisterTransport('callback-polling'); }
  else client.unregisterTransport('websocket');
  client.configure({ url: carrier === 'ws' ? url.replace('http', 'ws') : url, logLevel: 'warn' });
  await new Promise((done, failed) => client.handshake((reply) => (reply.successful ? done() : failed(new Error(JSON.stringify(reply))))));
  const first = await new Promise((done) => {
    let opened = false;
    client.batch(() => {
      client.subscribe(CHANNEL, (message) => {
        if (opened) onEnvelope(message.data); else { opened = true; done(message.data); }
      });
      client.publish(CHANNEL, { operation: 'requestChat', nickname: 'Ada' });
    });
  });
  return { client, first };
}

const trigger = (id, action, body) => fetch(`${control}/agent/${id}/${action}`, { method: 'POST', body: JSON.stringify(body || {}) });
const close = (client) => new Promise((done) => client.disconnect(done));

const tests = {
  async burst(n) {
    let seen; let began; let ended; let used; let over;
    const { client, first } = await chat((envelope) => {
      for (const event of envelope.messages) {
        if (event.type !== 'Message') continue;
        seen += 1;
        if (seen === 0) { began = now(); used = cpu(); }
        if (!event.text.startsWith(`${seen} `)) throw new Error(event.text);
        if (seen === n - 1) { ended = now(); used = cpu() - used; over(); }
      }
    });
    await trigger(first.chatId, 'join');
    let wall = 0; let spent = 0;
    for (let burst = 0; burst < BURSTS; burst += 1) {
      seen = -1;
      const finished = new Promise((done) => { over = done; });
      await Promise.all([trigger(first.chatId, 'burst', { n }), finished]);
      wall += ended - began; spent += used;
    }
    await close(client);
    return { per_s: BURSTS * (n - 1) / wall * 1e3, cpu_us: spent / (BURSTS * (n - 1)) };
  },
  async echo(n) {
    let wake; const times = []; let used;
    const { client, first } = await chat(() => wake());
    for (let number = 0; number < n + 50; number += 1) {
      if (number === 50) used = cpu();
      const echoed = new Promise((done) => { wake = done; });
      const began = now();
      const sent = new Promise((done) => client.publish(CHANNEL, { operation: 'sendMessage', message: `${number} ${'x'.repeat(60)}`, messageType: 'text', secureKey: first.secureKey }, done));
      await echoed;
      const took = now() - began;
      await sent;
      if (number >= 50) times.push(took);
    }
    used = cpu() - used;
    await close(client);
    return { ...quantiles(times), cpu_us: used / n };
  },
  async setup(n) {
    const starts = [];
    for (let number = 0; number < n + 5; number += 1) {
      const began = now();
      const { client } = await chat(() => {});
      starts.push(now() - began);
      await close(client);
    }
    return { start: quantiles(starts.slice(5)) };
  },
};
console.log(JSON.stringify(await tests[test](Number(count))));
process.exit(0);
