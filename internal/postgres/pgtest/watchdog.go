package pgtest

// endServer is the watchdog's script: it ends the server that runs in the directory, even a paused one, and the poolers
// in front of it, and removes the directory. An immediate shutdown (QUIT) lets the server free its shared memory; KILL
// is for one that does not react.
const endServer = `
for pooler in "$1"/pgbouncer-*/pid; do
	[ -e "$pooler" ] && kill -KILL "$(cat "$pooler")"
done
read -r pid <"$1/data/postmaster.pid"
if [ -n "$pid" ]; then
	kill -CONT "$pid" $(cat /proc/"$pid"/task/*/children)
	kill -QUIT "$pid"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$pid" || break
		sleep 0.25
	done
	kill -KILL $(cat /proc/"$pid"/task/*/children) "$pid"
fi
rm -rf "$1"
`
