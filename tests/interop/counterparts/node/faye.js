// Faye: both carriers, another dialect of Bayeux. Publishers hear themselves on ordinary channels.
'use strict';
const http = require('http');
const faye = require('faye');

const port = Number(process.argv[2] || 0);
const bayeux = new faye.NodeAdapter({ mount: '/faye', timeout: 20 });
bayeux.addExtension({
  incoming(message, request, callback) {
    if (message.channel === '/meta/handshake' && process.argv[3] === 'deny') {
      message.error = '403::handshake_denied';
    }
    callback(message);
  },
});
const server = http.createServer((request, response) => {
  response.statusCode = 404;
  response.end();
});
bayeux.attach(server);
server.listen(port, '127.0.0.1', () => console.log(`READY ${server.address().port} 0`));
process.stdin.on('end', () => process.exit(0)).resume();
