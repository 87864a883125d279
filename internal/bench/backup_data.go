package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// sampleTable is a table of the data that backups are measured with.
type sampleTable struct {
	name, columns, indexes string
	share                  int // of the dump's bytes, in percent
	row                    func(s *sampler, line []byte, id int64) []byte
}

// sampleTables resemble a customer's database: names and addresses, numbers and dates, JSON, prose.
var sampleTables = []sampleTable{
	{"customers", "id bigint primary key, token uuid not null, email text not null, name text not null, city text, " +
		"plan text not null, balance numeric(12,2) not null, created_at timestamptz not null",
		"create unique index on %s (email)", 5, (*sampler).customer},
	{"orders", "id bigint primary key, customer_id bigint not null, status text not null, sku text not null, items " +
		"int not null, total numeric(12,2) not null, currency text not null, coupon text, invoiced bool not null, " +
		"placed_at timestamptz not null",
		"create index on %s (customer_id)", 30, (*sampler).order},
	{"events", "id bigint primary key, customer_id bigint not null, kind text not null, payload jsonb not null, at " +
		"timestamptz not null",
		"create index on %s (at)", 40, (*sampler).event},
	{"notes", "id bigint primary key, customer_id bigint not null, body text not null, written_at timestamptz not null",
		"create index on %s (customer_id)", 25, (*sampler).note},
}

// fillDatabase creates the tables, owned by the role, so that a plain dump has about size bytes. The data is the same
// every time.
func (b *bench) fillDatabase(ctx context.Context, database, role string, size int64) error {
	return b.server.Superuser(ctx, database, func(conn *pgx.Conn) error {
		run := func(sql string) error {
			_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
			return err
		}
		if err := run("set role " + pgtest.Identifier(role)); err != nil {
			return err
		}
		for _, t := range sampleTables {
			// In the transaction that creates the table, its rows need no write-ahead log.
			if err := run(fmt.Sprintf("begin; create table %s (%s)", t.name, t.columns)); err != nil {
				return err
			}
			r, w := io.Pipe()
			go func() { w.CloseWithError(t.write(w, size*int64(t.share)/100)) }()
			_, err := conn.PgConn().CopyFrom(ctx, r, fmt.Sprintf("copy %s from stdin (freeze)", t.name))
			_ = r.Close() // ends the writer if the server refused
			if err != nil {
				return fmt.Errorf("fill %s: %w", t.name, err)
			}
			if err := run("commit; " + fmt.Sprintf(t.indexes, t.name)); err != nil {
				return err
			}
		}
		if err := run("reset role"); err != nil {
			return err
		}
		return run("vacuum analyze")
	})
}

// write writes rows until there are size bytes.
func (t sampleTable) write(w io.Writer, size int64) error {
	out := bufio.NewWriterSize(w, 64<<10)
	s := newSampler()
	var line []byte
	for id := int64(1); size > 0; id++ {
		line = append(t.row(s, strconv.AppendInt(line[:0], id, 10), id), '\n')
		size -= int64(len(line))
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// sampler makes up values. Words are as frequent as in a language, by Zipf's law; times advance in small steps.
type sampler struct {
	*rand.Rand
	words   []string
	phrases []string // made of the words, because people and programs repeat themselves
	zipf    *rand.Zipf
	now     time.Time
}

func newSampler() *sampler {
	s := &sampler{Rand: rand.New(rand.NewPCG(20, 26)), now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	syllables := strings.Fields("ba be bo da de di do en er es fa fi ga go ha hi in is ka ke la le li lo ma me mi mo " +
		"na ne ni no on or pa pe po ra re ri ro sa se si so ta te ti to un ur va ve vi za")
	for range 8000 {
		word := ""
		for range 1 + s.IntN(4) {
			word += syllables[s.IntN(len(syllables))]
		}
		s.words = append(s.words, word)
	}
	s.zipf = rand.NewZipf(s.Rand, 1.2, 8, uint64(len(s.words)-1))
	for range s.words {
		s.phrases = append(s.phrases, string(s.text(nil, 2+s.IntN(6), s.words)))
	}
	return s
}

// text appends n words or phrases.
func (s *sampler) text(line []byte, n int, of []string) []byte {
	for i := range n {
		if i > 0 {
			line = append(line, ' ')
		}
		line = append(line, of[s.zipf.Uint64()]...)
	}
	return line
}

func (s *sampler) time(line []byte) []byte {
	s.now = s.now.Add(time.Duration(s.ExpFloat64() * float64(20*time.Second))).Truncate(time.Microsecond)
	return s.now.AppendFormat(append(line, '\t'), "2006-01-02 15:04:05.999999-07")
}

func (s *sampler) number(line []byte, n int64) []byte {
	return strconv.AppendInt(append(line, '\t'), n, 10)
}

// owner appends the customer that something belongs to. A few customers have most of it.
func (s *sampler) owner(line []byte) []byte { return s.number(line, 1+int64(s.zipf.Uint64())) }

// amount appends a price. Most are small.
func (s *sampler) amount(line []byte) []byte {
	return strconv.AppendFloat(append(line, '\t'), s.ExpFloat64()*120, 'f', 2, 64)
}

func (s *sampler) choice(line []byte, choices ...string) []byte {
	return append(append(line, '\t'), choices[s.IntN(len(choices))]...)
}

func (s *sampler) customer(line []byte, id int64) []byte {
	line = fmt.Appendf(line, "\t%08x-%04x-4%03x-a%03x-%012x", s.Uint32(), s.IntN(1<<16), s.IntN(1<<12), s.IntN(1<<12),
		s.Int64N(1<<48))
	first, last := s.words[s.zipf.Uint64()], s.words[s.zipf.Uint64()]
	line = fmt.Appendf(line, "\t%s.%s%d@%s.example\t%s %s", first, last, id, s.words[s.IntN(400)], first, last)
	line = append(append(line, '\t'), s.words[s.IntN(200)]...)
	return s.time(s.amount(s.choice(line, "free", "launch", "scale", "business")))
}

func (s *sampler) order(line []byte, _ int64) []byte {
	line = s.choice(s.owner(line), "paid", "paid", "paid", "shipped", "returned", "open")
	line = fmt.Appendf(line, "\tSKU-%05d", s.zipf.Uint64())
	line = s.amount(s.number(line, 1+s.Int64N(5)))
	line = s.choice(line, "EUR", "EUR", "USD", "GBP")
	line = s.choice(line, "\\N", "\\N", "\\N", "\\N", "WELCOME10", "SPRING")
	return s.time(s.choice(line, "t", "t", "t", "f"))
}

func (s *sampler) event(line []byte, _ int64) []byte {
	line = s.choice(s.owner(line), "page_view", "page_view", "click", "search", "login", "purchase")
	line = fmt.Appendf(line, `	{"ip": "10.%d.%d.%d", "path": "/%s/%s", "agent": "Mozilla/5.0 (X11; Linux x86_64) `+
		`AppleWebKit/537.36 (KHTML, like Gecko) Browser/%d.0 Safari/537.36", "took_ms": %d, "session": "%08x"}`,
		s.IntN(4), s.IntN(256), s.IntN(256), s.words[s.zipf.Uint64()], s.words[s.zipf.Uint64()], 110+s.IntN(20),
		s.IntN(900), s.Uint32())
	return s.time(line)
}

func (s *sampler) note(line []byte, _ int64) []byte {
	line = append(s.owner(line), '\t')
	return s.time(s.text(line, 8+s.IntN(24), s.phrases))
}
