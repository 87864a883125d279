package buckettest

// endServer is the watchdog's script: it kills the server whose process id is in the directory's file pid, and removes
// the directory.
const endServer = `
read -r pid <"$1/pid" && kill -KILL "$pid"
for _ in 1 2 3 4 5 6 7 8; do
	rm -rf "$1" && exit
	sleep 0.25
done
`
