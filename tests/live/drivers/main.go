package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

var (
	pool     *pgxpool.Pool
	viaPgx   *sql.DB
	viaPq    *sql.DB
	cache    *redis.Client
	gathered *redis.AutoPipeliner // sends the calls of several goroutines at once
	back     string
	noReuse  = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	jobs     = make(chan func())
)

// Calls of a library that nobody knows, on connections of its own.
var raw = make(chan net.Conn, 6)

func unknown(number string) {
	c := <-raw
	key := "x_raw_" + number
	fmt.Fprintf(c, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key)
	c.Read(make([]byte, 100))
	raw <- c
}

// A call that is given up, sometimes before it was sent.
func hasty(ctx context.Context, number string) {
	short, cancel := context.WithTimeout(ctx, time.Duration(rand.Intn(1000))*time.Microsecond)
	defer cancel()
	request, err := http.NewRequestWithContext(short, "GET", "http://"+back+"/t_http_"+number, nil)
	must(err)
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		answer.Body.Close()
	}
}

func nap() { time.Sleep(time.Duration(rand.Intn(1000)) * time.Microsecond) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func scan(db *sql.DB, ctx context.Context, query string) {
	var got int
	must(db.QueryRowContext(ctx, query).Scan(&got))
}

// One call each, with the number of the request in it, and by whom: h(andler) or c(hild).
func get(client *http.Client, ctx context.Context, path string) {
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+back+path, nil)
	must(err)
	answer, err := client.Do(request)
	must(err)
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}

func calls(ctx context.Context, by, number string) []func() {
	return []func(){
		func() { var got int; must(pool.QueryRow(ctx, "SELECT 1 AS "+by+"_pgx_"+number).Scan(&got)) },
		func() { scan(viaPgx, ctx, "SELECT 1 AS "+by+"_sqlpgx_"+number) },
		func() { scan(viaPq, ctx, "SELECT 1 AS "+by+"_pq_"+number) },
		func() {
			tx, err := viaPq.BeginTx(ctx, nil)
			must(err)
			_, err = tx.ExecContext(ctx, "SELECT 1 AS "+by+"_tx_"+number)
			must(err)
			must(tx.Commit())
		},
		func() { cache.Get(ctx, by+"_redis_"+number) },
		func() {
			pipe := cache.Pipeline()
			pipe.Get(ctx, by+"_pipe_"+number)
			pipe.Incr(ctx, by+"_pipe_"+number)
			pipe.Exec(ctx)
		},
		func() { get(http.DefaultClient, ctx, "/"+by+"_http_"+number) },
		func() { get(noReuse, ctx, "/"+by+"_close_"+number) },
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	number := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	ctx := context.WithValue(r.Context(), "number", number)
	nap()
	for _, call := range calls(ctx, "h", number) {
		call()
	}
	var children sync.WaitGroup
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, call := range calls(deadline, "c", number) {
		children.Add(1)
		go func() {
			defer children.Done()
			nap()
			call()
		}()
	}
	for _, call := range calls(ctx, "w", number) { // workers that stay, and serve all
		children.Add(1)
		jobs <- func() { defer children.Done(); nap(); call() }
	}
	children.Add(4)
	for i := 0; i < 2; i++ {
		go func() { defer children.Done(); gathered.Do(ctx, "GET", "g_gathered_"+number).Result() }()
	}
	jobs <- func() { defer children.Done(); unknown(number) }
	jobs <- func() { defer children.Done(); hasty(ctx, number) }
	children.Wait()
	go func() { // outlives the response
		nap()
		nap()
		cache.Get(context.Background(), "l_redis_"+number)
	}()
	fmt.Fprint(w, "ok")
}

func main() {
	var err error
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%s/shop?sslmode=disable", os.Args[3])
	pool, err = pgxpool.New(context.Background(), dsn)
	must(err)
	viaPgx, err = sql.Open("pgx", dsn)
	must(err)
	viaPq, err = sql.Open("postgres", dsn)
	must(err)
	viaPgx.SetMaxOpenConns(6)
	viaPq.SetMaxOpenConns(6)
	cache = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[4], PoolSize: 6})
	gathered, err = cache.AutoPipeline()
	must(err)
	back = "127.0.0.1:" + os.Args[2]
	for i := 0; i < 6; i++ {
		c, err := net.Dial("tcp", "127.0.0.1:"+os.Args[4])
		must(err)
		raw <- c
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	http.HandleFunc("/", serve)
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
