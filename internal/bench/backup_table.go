package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// cpuOf returns each run's CPU time in seconds: of the client and everything it started, of PostgreSQL, and of the
// store.
func cpuOf(costs []backupCost) (client, database, store []float64) {
	for _, c := range costs {
		client = append(client, c.cpu.Seconds())
		database = append(database, c.servers.database.Seconds())
		store = append(store, c.servers.store.Seconds())
	}
	return client, database, store
}

// print prints the table. The first two ways are the floor and ours.
func (s *backupSite) print(ways []backupWay, costs [][]backupCost, missing []string) {
	title := "One database"
	if n := len(s.databases); n > 1 {
		title = fmt.Sprintf("%d databases, %d at once", n, backupConcurrency)
	}
	fmt.Printf("\n### Backing up: %s of about %d MiB as a plain dump\n\n", title, s.size>>20)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| n\t| wall, s\t| × floor\t| ours faster by\t| CPU s\t| PostgreSQL's\t| store's\t"+
		"| peak MiB\t| MB stored\t|\n"+
		"| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|\n")
	floor, ours := plainCosts(costs[0]), plainCosts(costs[1])
	for i, way := range ways {
		mine := plainCosts(costs[i])
		if len(mine) == 0 {
			continue
		}
		faster, memory, stored := "–", "–", "–"
		if i > 1 {
			faster = fmt.Sprintf("%.2f", ratio(mine, ours))
		}
		if way.oneProcess {
			var peaks []float64
			for _, c := range costs[i] {
				peaks = append(peaks, float64(c.peakKiB)/1024)
			}
			memory = seconds(peaks)
		}
		if way.uploads {
			stored = fmt.Sprintf("%.1f", float64(costs[i][0].stored)/1e6)
		}
		client, database, store := cpuOf(costs[i])
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %.2f\t| %s\t| %.1f\t| %.1f\t| %.1f\t| %s\t| %s\t|\n",
			way.name, len(mine), seconds(walls(mine)), ratio(mine, floor), faster, median(client), median(database),
			median(store), memory, stored)
	}
	_ = w.Flush() // to standard output; if that is closed, nobody reads it
	s.printBound(ways, costs)
	var with []string
	for _, program := range []string{"gzip", "pigz", "aws", "pg_back"} {
		if version := s.version(program, "--version"); version != "" {
			with = append(with, version)
		}
	}
	fmt.Printf("\nWith %s. The load average at the end was %s.\n", strings.Join(with, "; "), load())
	for _, line := range missing {
		fmt.Println("\n" + line)
	}
}

// printBound prints what would be left if compressing, hashing and uploading cost the client nothing: the time for
// which the servers and pg_dump keep the same cores busy.
func (s *backupSite) printBound(ways []backupWay, costs [][]backupCost) {
	cores := float64(runtime.NumCPU())
	client, database, _ := cpuOf(costs[0])
	own, ownDatabase, store := cpuOf(costs[1])
	least := (median(client) + median(database) + median(store)) / cores
	busy := (median(own) + median(ownDatabase) + median(store)) / cores
	fmt.Printf("\nOurs and the servers kept all %d cores busy for %.2f s; "+
		"the floor and the store alone would for %.2f s.\n",
		runtime.NumCPU(), busy, least)
	for i, way := range ways {
		if mine := plainCosts(costs[i]); way.rival && len(mine) > 0 {
			fmt.Printf("That bound is %.1f times as fast as %q.\n", median(walls(mine))/least, way.name)
		}
	}
}
