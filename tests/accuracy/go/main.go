// SPDX-License-Identifier: Apache-2.0

// net/http, pgx, go-redis: a goroutine for each request, and more of them for some of its calls.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"os"
	"path"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

const pool = 4

var (
	database *pgxpool.Pool
	cache    *redis.Client
	web      = &http.Client{Transport: &http.Transport{MaxConnsPerHost: pool}}
)

func nap() { time.Sleep(time.Duration(rand.Intn(2000)) * time.Microsecond) }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func query(ctx context.Context, name string) {
	_, err := database.Exec(ctx, fmt.Sprintf("SELECT pg_sleep(%f) AS %s", rand.Float64()/500, name))
	check(err)
}

func get(ctx context.Context, key string) {
	if err := cache.Get(ctx, key).Err(); err != redis.Nil {
		check(err)
	}
}

func leaf(ctx context.Context, name, which string) {
	url := fmt.Sprintf("http://localhost:%s/leaf/%s/%s", os.Getenv("LEAF_PORT"), name, which)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	check(err)
	answer, err := web.Do(request)
	check(err)
	_, err = io.Copy(io.Discard, answer.Body)
	check(err)
	answer.Body.Close()
}

func together(parts ...func()) {
	var group sync.WaitGroup

	for _, part := range parts {
		group.Add(1)
		go func(part func()) {
			defer group.Done()
			nap()
			part()
		}(part)
	}
	group.Wait()
}

func work(w http.ResponseWriter, r *http.Request) {
	ctx, name := r.Context(), path.Base(r.URL.Path)

	if os.Getenv("CONTEXTS") == "none" {
		ctx = context.Background()
	}
	nap()
	query(ctx, name)
	get(ctx, name+":first")
	leaf(ctx, name, "close")
	together(func() { leaf(ctx, name, "left") }, func() { leaf(ctx, name, "right") },
		func() { query(ctx, name) }, func() { get(ctx, name+":middle") })
	check(cache.Set(ctx, name+":last", "value", 0).Err())
	io.WriteString(w, "done")
}

func main() {
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=localhost port=%s user=postgres dbname=shop",
		os.Getenv("POSTGRES_PORT")))
	check(err)
	config.MaxConns = pool
	database, err = pgxpool.NewWithConfig(context.Background(), config)
	check(err)
	cache = redis.NewClient(&redis.Options{Addr: "localhost:" + os.Getenv("REDIS_PORT"),
		PoolSize: pool, PoolTimeout: time.Minute})
	http.HandleFunc("/shop/", work)
	check(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
