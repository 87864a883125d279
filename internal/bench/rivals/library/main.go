// Command library migrates databases with dbmate as a library and its own driver, lib/pq, as a program would that
// someone writes around it. It reads connection strings from standard input, one a line, and prints how many seconds
// the migrating took, the program's own start not counted.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	_ "github.com/amacneil/dbmate/v2/pkg/driver/postgres"
)

func main() {
	migrations := flag.String("migrations", "", "directory of migration files")
	concurrency := flag.Int("concurrency", 16, "databases at once")
	flag.Parse()
	if err := run(*migrations, *concurrency); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(migrations string, concurrency int) error {
	var urls []*url.URL
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		u, err := url.Parse(lines.Text())
		if err != nil {
			return errors.New("a line is not a URL")
		}
		urls = append(urls, u)
	}
	work := make(chan *url.URL)
	failures := make([]error, concurrency)
	var workers sync.WaitGroup
	began := time.Now()
	for i := range concurrency {
		workers.Go(func() {
			for u := range work {
				failures[i] = errors.Join(failures[i], migrate(u, migrations))
			}
		})
	}
	for _, u := range urls {
		work <- u
	}
	close(work)
	workers.Wait()
	fmt.Println(time.Since(began).Seconds())
	return errors.Join(failures...)
}

func migrate(u *url.URL, migrations string) error {
	db := dbmate.New(u)
	db.MigrationsDir = []string{migrations}
	db.AutoDumpSchema = false
	db.Log = io.Discard
	return db.Migrate()
}
