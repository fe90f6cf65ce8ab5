// Command pgpool2_exporter stands in for the exporter of the same name, whose Go module cannot be had where
// these tests run. It keeps to what the operators rely on: the environment that names the data source, the
// flags, the driver with its rules about TLS, and the first of the metrics. See e2e/README.md.
package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/lib/pq"
)

// What one scrape has found.
type sample struct {
	nodes []node
	err   error
	took  time.Duration
}

// One row of SHOW POOL_NODES.
type node struct {
	hostname, port, role string
	up                   bool
	selects              float64
}

type exporter struct {
	db      *sql.DB
	mutex   sync.Mutex
	scrapes int
}

func main() {
	log.SetFlags(0)
	address := flag.String("web.listen-address", ":9719", "where to listen")
	path := flag.String("web.telemetry-path", "/metrics", "where the metrics are")
	flag.Parse()
	db, err := sql.Open("postgres", dataSource())
	if err != nil {
		log.Fatalf("the data source cannot be used: %v", err)
	}
	// pgpool answers for one of its children only, and each connection takes one away from clients.
	db.SetMaxOpenConns(1)
	if err := started(db); err != nil {
		log.Fatalf("pgpool refuses the exporter: %v", err)
	}
	exporter := &exporter{db: db}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+*path, exporter.serve)
	log.Printf("listens on %s", *address)
	log.Fatal(http.ListenAndServe(*address, mux))
}

// The environment of the real exporter: one name, or three parts.
func dataSource() string {
	if name := os.Getenv("DATA_SOURCE_NAME"); name != "" {
		return name
	}
	login := url.UserPassword(os.Getenv("DATA_SOURCE_USER"), os.Getenv("DATA_SOURCE_PASS"))
	return "postgresql://" + login.String() + "@" + os.Getenv("DATA_SOURCE_URI")
}

// Waits while nobody listens; gives the error when somebody does and says no.
func started(db *sql.DB) error {
	for {
		err := db.Ping()
		var network *net.OpError
		if err == nil || !errors.As(err, &network) {
			return err
		}
		time.Sleep(time.Second)
	}
}

func (e *exporter) serve(answer http.ResponseWriter, _ *http.Request) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.scrapes++
	found := e.scrape()
	if found.err != nil {
		log.Printf("a scrape failed: %v", found.err)
	}
	answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprint(answer, found.text(e.scrapes))
}

func (e *exporter) scrape() sample {
	begin := time.Now()
	nodes, err := e.nodes()
	return sample{nodes: nodes, err: err, took: time.Since(begin)}
}

func (e *exporter) nodes() ([]node, error) {
	rows, err := e.db.Query("SHOW POOL_NODES")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var nodes []node
	for rows.Next() {
		texts := make([]sql.NullString, len(columns))
		cells := make([]any, len(columns))
		for i := range texts {
			cells[i] = &texts[i]
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		row := map[string]string{}
		for i, column := range columns {
			row[column] = texts[i].String
		}
		selects, err := strconv.ParseFloat(row["select_cnt"], 64)
		if err != nil {
			return nil, fmt.Errorf("select_cnt: %w", err)
		}
		up := row["status"] == "up" || row["status"] == "waiting"
		nodes = append(nodes, node{row["hostname"], row["port"], row["role"], up, selects})
	}
	return nodes, rows.Err()
}

func (s sample) text(scrapes int) string {
	var text strings.Builder
	metric := func(kind, name, help string, samples ...string) {
		fmt.Fprintf(&text, "# HELP pgpool2_%s %s\n# TYPE pgpool2_%s %s\n", name, help, name, kind)
		for _, sample := range samples {
			fmt.Fprintf(&text, "pgpool2_%s%s\n", name, sample)
		}
	}
	metric("gauge", "up", "Whether pgpool answers (1) or not (0).", " "+number(s.err == nil))
	metric("gauge", "last_scrape_error", "Whether the last scrape failed.", " "+number(s.err != nil))
	metric("gauge", "last_scrape_duration_seconds", "How long it took.", fmt.Sprintf(" %g", s.took.Seconds()))
	metric("counter", "scrapes_total", "How many there were.", fmt.Sprintf(" %d", scrapes))
	var status, selects []string
	for _, node := range s.nodes {
		labels := fmt.Sprintf("{hostname=%q,port=%q,role=%q}", node.hostname, node.port, node.role)
		status = append(status, labels+" "+number(node.up))
		selects = append(selects, fmt.Sprintf("%s %g", labels, node.selects))
	}
	metric("gauge", "pool_nodes_status", "Whether a backend is up (1) or not (0).", status...)
	metric("counter", "pool_nodes_select_cnt", "SELECTs sent to a backend.", selects...)
	return text.String()
}

func number(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}
