// SPDX-License-Identifier: Apache-2.0
// A service between two others: one call for each request, over a pool of four connections.
'use strict';
const http = require('http');

const { PORT, NEXT_PORT } = process.env;
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

http.createServer((request, response) => {
	const { url: path } = request;
	const call = () => http.get({ host: 'localhost', port: NEXT_PORT, path, agent }, (answer) => {
		response.statusCode = answer.statusCode;
		answer.pipe(response);
	});

	setTimeout(call, Math.random() * 2);
}).listen(PORT).keepAliveTimeout = 0;
