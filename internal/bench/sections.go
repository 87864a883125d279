package main

import (
	"context"
	"fmt"
)

// slowRounds returns how many rounds a slow rival takes part in.
func (b *bench) slowRounds() int {
	if b.short {
		return 1
	}
	return 3
}

// field returns the floor, ours, and the rivals that work on several databases at once.
func (b *bench) field(ctx context.Context, commandLine bool) ([]contender, error) {
	floor, err := b.floor()
	if err != nil {
		return nil, err
	}
	ours, err := b.ours()
	if err != nil {
		return nil, err
	}
	dbmate, err := b.dbmateInProcess(ctx, b.slowRounds())
	if err != nil || !commandLine {
		return []contender{floor, ours, dbmate}, err
	}
	xargs, err := b.xargs(ctx, b.slowRounds())
	return []contender{floor, ours, dbmate, xargs}, err
}

// loopback compares where only CPU time counts.
func loopback(ctx context.Context, b *bench) error {
	return b.bothConcurrencies(ctx, link{name: "loopback, no TLS"})
}

// distance compares where round trips cost time.
func distance(ctx context.Context, b *bench) error {
	return b.overDistance(func(l link) error { return b.bothConcurrencies(ctx, l) })
}

func (b *bench) bothConcurrencies(ctx context.Context, l link) error {
	for _, concurrency := range []int{16, 64} {
		contenders, err := b.field(ctx, concurrency == 16)
		if err != nil {
			return err
		}
		c := comparison{title: l.name, link: l, tenants: b.count(tenantCount), concurrency: concurrency,
			contenders: contenders, showCPU: l.proxy == nil}
		if err := b.race(ctx, c); err != nil {
			return err
		}
		if b.short {
			break
		}
	}
	return nil
}

// sequentialRounds is how many rounds the ways that need minutes take part in.
const sequentialRounds = 2

// sequential compares with the ways that work on one tenant at a time.
func sequential(ctx context.Context, b *bench) error {
	if b.short {
		fmt.Println("\n-short leaves out the ways that work on one tenant at a time.")
		return nil
	}
	contenders, err := b.field(ctx, false)
	if err != nil {
		return err
	}
	contenders = contenders[:2]
	oneByOne, err := b.oneByOne(ctx, sequentialRounds)
	if err != nil {
		return err
	}
	contenders = append(contenders, oneByOne)
	compare := func(l link) error {
		return b.race(ctx, comparison{title: l.name + ", against one after another", link: l, tenants: fewTenants,
			concurrency: 16, contenders: contenders})
	}
	if err := compare(link{name: "loopback, no TLS"}); err != nil {
		return err
	}
	return b.overDistance(compare)
}
