# SPDX-License-Identifier: Apache-2.0
# Puma, pg, redis, net/http: a pool of threads, and smaller pools of connections.

require "net/http"
require "pg"
require "redis"

class Pool
  def initialize(size, &make)
    @idle = Queue.new
    @make = make
    size.times { @idle << nil }
  end

  def use
    one = @idle.pop
    one ||= @make.call
    yield one
  ensure
    @idle << one
  end
end

DATABASE = Pool.new(4) do
  PG.connect(host: "localhost", port: ENV["POSTGRES_PORT"], user: "postgres", dbname: "shop")
end
CACHE = Pool.new(4) { Redis.new(host: "localhost", port: ENV["REDIS_PORT"].to_i) }
LEAF = Pool.new(4) { Net::HTTP.start("localhost", ENV["LEAF_PORT"].to_i) }

def nap
  sleep(rand / 500)
end

def select(name)
  DATABASE.use { |it| it.exec("SELECT pg_sleep(#{rand / 500}) AS #{name}") }
end

def leaf(name, which)
  LEAF.use { |it| it.get("/leaf/#{name}/#{which}") }
end

def work(name)
  nap
  select(name)
  CACHE.use { |it| it.get("#{name}:first") }
  leaf(name, "close")
  leaf(name, "left")
  nap
  leaf(name, "right")
  CACHE.use { |it| it.get("#{name}:middle") }
  select(name)
  CACHE.use { |it| it.set("#{name}:last", "value") }
end

run(lambda do |env|
  work(env["PATH_INFO"].split("/").last)
  [200, { "Content-Type" => "text/plain", "Content-Length" => "4" }, ["done"]]
end)
