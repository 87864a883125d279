package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"unicode/utf16"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// GitHub's limits: how many jobs a matrix may make, and how large the outputs of a job may be together, in bytes of UTF-16.
// The listing keeps some of it free for the job's other outputs.
const (
	maxShards      = 256
	maxJobOutputs  = 1 << 20
	maxListedUnits = (maxJobOutputs - 64<<10) / 2
)

// NewList makes the mode that says which tenants are selected. It connects to none of them.
func NewList(in *input.Reader, _ mode.Env) mode.Work {
	shards := in.Int("shards", 1, maxShards)
	if in.String("shard") != "" {
		in.Mistake("shard", "contradicts mode list-tenants, whose matrix splits all selected tenants; leave it out, and give shard: ${{ matrix.shard }} to the jobs of the matrix")
	}
	return mode.Work{
		Job: func(_ context.Context, t fleet.Tenant, _ *slog.Logger) (fleet.Outcome, error) {
			return fleet.Outcome{Unchanged: true, Note: "id " + t.ID + ", key " + t.Key}, nil
		},
		Finish: func(_ context.Context, results []fleet.Result) (mode.Ending, error) { return listing(results, shards) },
	}
}

// listing makes the outputs. A list that is too large for an output is left out, so that a job that reads it fails by that
// and does not take a part for the whole; the matrix is there in any case.
func listing(results []fleet.Result, shards int) (mode.Ending, error) {
	tenants := make([]fleet.Tenant, 0, len(results))
	for _, r := range results {
		tenants = append(tenants, r.Tenant)
	}
	list, err := json.Marshal(tenants)
	if err != nil {
		return mode.Ending{}, fmt.Errorf("write the output tenants: %w", err)
	}
	matrix, err := json.Marshal(shardMatrix(len(tenants), shards))
	if err != nil {
		return mode.Ending{}, fmt.Errorf("write the output matrix: %w", err)
	}
	e := mode.Ending{Outputs: map[string]string{"tenants": string(list), "matrix": string(matrix)}}
	if units := len(utf16.Encode([]rune(string(list)))); units > maxListedUnits {
		delete(e.Outputs, "tenants")
		e.Warnings = append(e.Warnings, fmt.Sprintf("the output tenants is not set: the list of %d tenants takes %s, and GitHub allows the outputs of a job %s; read the report file, "+
			"which has them all, or select fewer tenants", len(tenants), words.Size(int64(2*units)), words.Size(maxJobOutputs)))
	}
	return e, nil
}

// shardMatrix is the value for a job's strategy.matrix: as many shards as asked for, but no more than tenants, and at least
// one, because GitHub refuses a matrix without jobs.
func shardMatrix(tenants, shards int) map[string][]string {
	count := max(1, min(tenants, shards))
	var list []string
	for i := 1; i <= count; i++ {
		list = append(list, fleet.Shard{Index: i, Count: count}.String())
	}
	return map[string][]string{"shard": list}
}
