<?php
// SPDX-License-Identifier: Apache-2.0
// pgsql, redis, curl: all of a request is done by one process, and closed behind it.

function nap(): void
{
	usleep(random_int(0, 2000));
}

function select(PgSql\Connection $database, string $name): void
{
	$seconds = random_int(0, 2000) / 1e6;
	pg_fetch_all(pg_query($database, "SELECT pg_sleep($seconds) AS $name"));
}

function leaf(CurlHandle $web, string $name, string $which): void
{
	$port = getenv('LEAF_PORT');
	curl_setopt($web, CURLOPT_URL, "http://localhost:$port/leaf/$name/$which");
	curl_exec($web);
}

function work(string $name): void
{
	$port = getenv('POSTGRES_PORT');
	$database = pg_connect("host=localhost port=$port user=postgres dbname=shop");
	$cache = new Redis();
	$cache->connect('localhost', (int)getenv('REDIS_PORT'));
	$web = curl_init();
	curl_setopt($web, CURLOPT_RETURNTRANSFER, true);
	nap();
	select($database, $name);
	$cache->get("$name:first");
	leaf($web, $name, 'close');
	leaf($web, $name, 'left');
	nap();
	leaf($web, $name, 'right');
	$cache->get("$name:middle");
	select($database, $name);
	$cache->set("$name:last", 'value');
}

work(basename($_SERVER['REQUEST_URI']));
echo 'done';
