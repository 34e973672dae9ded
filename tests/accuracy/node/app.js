// SPDX-License-Identifier: Apache-2.0
// http, pg, ioredis, fetch: one thread, one connection to Redis for all requests.
'use strict';
const http = require('http');
const { setTimeout: sleep } = require('timers/promises');
const Redis = require('ioredis');
const { Pool } = require('pg');

const { PORT, POSTGRES_PORT, REDIS_PORT, LEAF_PORT } = process.env;
const database = new Pool({ host: 'localhost', port: POSTGRES_PORT, user: 'postgres',
	database: 'shop', max: 4 });
const cache = new Redis({ host: 'localhost', port: REDIS_PORT });

const nap = () => sleep(Math.random() * 2);
const select = (name) => database.query(`SELECT pg_sleep(${Math.random() / 500}) AS ${name}`);

async function leaf(name, which)
{
	const answer = await fetch(`http://localhost:${LEAF_PORT}/leaf/${name}/${which}`);

	await answer.text();
}

async function work(name)
{
	await nap();
	await select(name);
	await cache.get(`${name}:first`);
	await leaf(name, 'close');
	await Promise.all([leaf(name, 'left'), leaf(name, 'right'), select(name),
		cache.get(`${name}:middle`)]);
	await nap();
	await cache.set(`${name}:last`, 'value');
}

// Goes on when the response is out, and the next request may have come.
async function late(name)
{
	await sleep(Math.random() * 10);
	await cache.get(`${name}:late`);
	await nap();
	await cache.set(`${name}:latest`, 'value');
}

http.createServer(async (request, response) => {
	try {
		const [, what, name] = request.url.split('/');

		await work(name);
		response.end('done');
		if (what == 'late')
			await late(name);
	} catch (fault) {
		console.error(fault);
		response.statusCode = 500;
		response.end();
	}
}).listen(PORT).keepAliveTimeout = 0; // its clients may rest
