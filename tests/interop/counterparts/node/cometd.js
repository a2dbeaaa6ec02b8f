// GMS Chat v2 on the CometD project's Node server (long polling, acknowledgements). Written from the protocol page.
'use strict';
const crypto = require('crypto');
const http = require('http');
const cometd = require('cometd-nodejs-server');
const { AcknowledgedMessagesExtension } = require('cometd-nodejs-server/ack-extension');

const CHANNEL = '/service/chatV2/customer-support';
const chats = [];
const waiting = [];
const fresh = [];
let bayeux;
let server;
let refuse = null;

class Chat {
  constructor(nickname, userData) {
    this.id = crypto.randomBytes(8).toString('hex');
    this.userId = crypto.randomBytes(8).toString('hex');
    this.secureKey = crypto.randomBytes(72).toString('base64');
    this.userData = { ...userData };
    this.events = [];
    this.sessions = new Set();
    this.ended = false;
    this.parties = 0;
    this.visitor = this.party(nickname, 'Client');
  }

  party(nickname, type) {
    this.parties += 1;
    return { nickname, participantId: this.parties, type };
  }

  envelope(messages) {
    return {
      messages, chatEnded: this.ended, statusCode: 0, alias: '117', secureKey: this.secureKey, userId: this.userId,
      chatId: this.id, nextPosition: this.events.length + 1,
    };
  }

  add(type, from, text, messageType) {
    const event = { from: { ...from }, index: this.events.length + 1, type, utcTime: Date.now(), text, messageType };
    this.events.push(event);
    for (const session of this.sessions) session.deliver(null, CHANNEL, this.envelope([event]));
  }
}

const failure = (code, advice, ended) => ({ statusCode: 2, chatEnded: ended, messages: [], errors: [{ code, advice }] });

function onPublish(session, data) {
  const send = (envelope) => session.deliver(null, CHANNEL, envelope);
  if (data.operation === 'requestChat') {
    if (refuse) return send(failure(Number(refuse.split(':')[0]), refuse.split(':').slice(1).join(':'), false));
    const chat = new Chat(data.nickname, data.userData);
    chat.sessions.add(session);
    chats.push(chat);
    chat.add('ParticipantJoined', chat.visitor);
    const next = waiting.shift();
    if (next) next(chat); else fresh.push(chat);
    return undefined;
  }
  const chat = chats.find((one) => one.secureKey === data.secureKey);
  if (!chat) return send(failure(249, 'no such chat', true));
  if (data.operation === 'requestNotifications') {
    chat.sessions.add(session);
    return send(chat.envelope(chat.events.slice(Math.max(Number(data.transcriptPosition) || 1, 1) - 1)));
  }
  if (chat.ended) return send(failure(249, 'the chat is over', true));
  switch (data.operation) {
    case 'sendMessage': return chat.add('Message', chat.visitor, data.message, data.messageType);
    case 'startTyping': return chat.add('TypingStarted', chat.visitor, data.message);
    case 'stopTyping': return chat.add('TypingStopped', chat.visitor, data.message);
    case 'updateData': Object.assign(chat.userData, data.userData); return send(chat.envelope([]));
    case 'disconnect': chat.ended = true; return chat.add('ParticipantLeft', chat.visitor);
    default: return send(failure(100, `unknown operation ${data.operation}`, false));
  }
}

function forget() {
  if (bayeux) bayeux.close();
  for (const chat of chats) chat.sessions.clear();
  bayeux = cometd.createCometDServer({ timeout: 30000, maxInterval: 10000 });
  bayeux.addExtension(new AcknowledgedMessagesExtension());
  bayeux.createServerChannel(CHANNEL).addListener('message', (session, channel, message, done) => {
    onPublish(session, message.data);
    done();
  });
}

function listen(port) {
  forget();
  server = http.createServer((request, response) => bayeux.handle(request, response));
  server.sockets = new Set();
  server.on('connection', (socket) => {
    server.sockets.add(socket);
    socket.on('close', () => server.sockets.delete(socket));
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server.address().port)));
}

function drop() {
  for (const socket of server.sockets) socket.destroy();
}

async function restart() {
  const { port } = server.address();
  drop();
  await new Promise((resolve) => server.close(resolve));
  await listen(port);
}

function act(chat, action, body) {
  switch (action) {
    case 'join': chat.agent = chat.party(body.name, 'Agent'); return chat.add('ParticipantJoined', chat.agent);
    case 'say': return chat.add('Message', chat.agent, body.text, 'text');
    case 'typing': return chat.add(body.typing === false ? 'TypingStopped' : 'TypingStarted', chat.agent);
    case 'leave': return chat.add('ParticipantLeft', chat.agent);
    case 'end': chat.ended = true; return chat.add('ParticipantLeft', chat.agent);
    default: throw new Error(action);
  }
}

async function control(path, body) {
  if (path[1] === 'next') {
    const chat = fresh.shift() || (await new Promise((resolve) => waiting.push(resolve)));
    return { id: chat.id };
  }
  if (path[1] === 'fault') {
    if (path[2] === 'restart') await restart();
    if (path[2] === 'drop') drop();
    if (path[2] === 'forget') {
      forget();
      drop(); // the old server would hold its polls for their whole time
    }
    if (path[2] === 'refuse') refuse = body.refuse;
    return {};
  }
  const chat = chats.find((one) => one.id === path[2]);
  if (path[3] === 'events') return { events: chat.events, ended: chat.ended, userData: chat.userData };
  act(chat, path[3], body);
  return {};
}

const controlServer = http.createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  try {
    response.end(JSON.stringify(await control(request.url.split('/'), text ? JSON.parse(text) : {})));
  } catch (error) {
    response.statusCode = 500;
    response.end(JSON.stringify({ error: String(error) }));
  }
});

listen(0).then((port) => controlServer.listen(0, '127.0.0.1', () => {
  console.log(`READY ${port} ${controlServer.address().port}`);
}));
process.stdin.on('end', () => process.exit(0)).resume();
