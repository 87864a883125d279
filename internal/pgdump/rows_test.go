package pgdump

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestRowCounter(t *testing.T) {
	dump := `--
-- PostgreSQL database dump
--

CREATE FUNCTION f() RETURNS void AS $$
COPY evil (i) FROM stdin;
$$;

--
-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.a (i, "odd (name)") FROM stdin;
1	\\.
2	x
\.


--
-- Data for Name: odd; Type: TABLE DATA; Schema: public; Owner: -
--

COPY "odd (s)"."o ""dd"" FROM stdin;" (i) FROM stdin;
\.

-- Data for Name: gone; Type: TABLE DATA
SELECT 1;
COPY late (i) FROM stdin;

--
-- Data for Name: big; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.big (t) FROM stdin;
` + strings.Repeat("x", 300<<10) + "\n\\N\n\n\\.\n"
	want := []postgres.TableRows{
		{Table: "public.a", Rows: 2}, {Table: `"odd (s)"."o ""dd"" FROM stdin;"`, Rows: 0},
		{Table: "public.big", Rows: 3},
	}
	for _, chunk := range []int{1, 7, 4096, len(dump)} {
		var c rowCounter
		for rest := dump; rest != ""; {
			n := min(chunk, len(rest))
			_, _ = c.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, c.tables); diff != "" {
			t.Errorf("in pieces of %d (-want +got):\n%s", chunk, diff)
		}
	}
}
