package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf16"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// GitHub's limits, as its workflow syntax documents them at jobs.<job_id>.strategy.matrix and jobs.<job_id>.outputs.
const (
	maxShards     = 256     // jobs of one matrix
	maxJobOutputs = 1 << 20 // bytes of all outputs of a job together, encoded as UTF-16
	// maxListedUnits is what the list of tenants may take, in UTF-16 code units, so that the job's other outputs fit
	// too.
	maxListedUnits = (maxJobOutputs - 64<<10) / 2
)

// NewList is mode list-tenants: it says which tenants are selected, and connects to none of them.
func NewList(in *input.Reader, _ mode.Env) mode.Work {
	shards := in.Int("shards", 1, maxShards)
	if in.Given("shard") {
		in.Mistake("shard", "contradicts mode list-tenants, whose matrix splits all selected tenants; leave it out, "+
			"and set shard: ${{ matrix.shard }} in the matrix's jobs")
	}
	return mode.Work{
		Job: func(_ context.Context, t fleet.Tenant, _ *slog.Logger) (fleet.Outcome, error) {
			return fleet.Outcome{Unchanged: true, Note: "id " + t.ID + ", key " + t.Key}, nil
		},
		Finish: func(_ context.Context, results []fleet.Result) (mode.Ending, error) { return listing(results, shards) },
	}
}

// listing returns the outputs tenants and matrix. A list that is too large for an output is left out, because a job
// that reads it should fail rather than take a part for the whole.
func listing(results []fleet.Result, shards int) (mode.Ending, error) {
	matrix, err := json.Marshal(shardMatrix(len(results), shards))
	if err != nil {
		return mode.Ending{}, fmt.Errorf("write the output matrix: %w", err)
	}
	e := mode.Ending{Outputs: map[string]string{"matrix": string(matrix)}}
	list, units, err := jsonArray(results)
	if err != nil {
		return mode.Ending{}, fmt.Errorf("write the output tenants: %w", err)
	}
	if units > maxListedUnits {
		e.Warnings = append(e.Warnings, fmt.Sprintf("the output tenants is not set: the list of %d tenants takes %s, "+
			"and GitHub allows %s for all outputs of a job; read the report file, which lists them all, "+
			"or select fewer tenants", len(results), words.Size(int64(2*units)), words.Size(maxJobOutputs)))
		return e, nil
	}
	e.Outputs["tenants"] = list
	return e, nil
}

// jsonArray returns the JSON array of the tenants and its length in UTF-16 code units. The text stops where it gets too
// long; the length does not.
func jsonArray(results []fleet.Result) (list string, units int, err error) {
	var b strings.Builder
	add := func(text []byte) {
		for _, r := range string(text) { // which copies nothing
			units += utf16.RuneLen(r)
		}
		if units <= maxListedUnits {
			b.Write(text)
		}
	}
	add([]byte{'['})
	for i, r := range results {
		text, err := json.Marshal(r.Tenant)
		if err != nil {
			return "", 0, err
		}
		if i > 0 {
			add([]byte{','})
		}
		add(text)
	}
	add([]byte{']'})
	return b.String(), units, nil
}

// shardMatrix returns the value for a job's strategy.matrix: as many shards as asked for, but no more than tenants, and
// at least one, because GitHub refuses a matrix without jobs.
func shardMatrix(tenants, shards int) map[string][]string {
	count := max(1, min(tenants, shards))
	var list []string
	for i := 1; i <= count; i++ {
		list = append(list, fleet.Shard{Index: i, Count: count}.String())
	}
	return map[string][]string{"shard": list}
}
