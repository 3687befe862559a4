# Makes a Postgres cluster in $1/data with the programs in $2, serves it on port $3, and ends it when
# standard input ends: that is when the process that holds the other end is gone, however it went.
# The word "keep" on standard input lets the server live on; whoever ends it, $1 goes with it.
home=$1 bin=$2 port=$3
shift 3
exec 3<&0 </dev/null

if ! "$bin/initdb" -D "$home/data" -U postgres -A scram-sha-256 --pwfile="$home/password" \
    -E UTF8 --locale=C --no-sync 3<&- >&2; then
    rm -rf -- "$home"
    exit 1
fi
rm -f -- "$home/password"

# A shell starts background jobs with SIGINT ignored, and it stays so until Postgres has set its own
# handler; SIGTERM ends a Postgres that has not come so far, SIGINT makes a grown one stop fast.
stop() {
    kill -TERM "$server" && kill -INT "$server"
} 2>/dev/null

"$bin/postgres" -D "$home/data" -p "$port" "$@" 3<&- &
server=$!
trap stop HUP INT TERM
{
    trap - HUP INT TERM
    word=
    read -r word <&3
    [ "$word" = keep ] || stop
} &
watcher=$!
exec 3<&-

wait "$server"
wait "$server" # the first wait also ends when a signal comes
kill "$watcher" 2>/dev/null
rm -rf -- "$home"
