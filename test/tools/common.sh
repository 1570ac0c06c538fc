# shellcheck shell=bash
#
# What the scripts of this directory share.  They keep everything that they
# make in one directory for each kind of work (test, demo, bench), outside the
# source tree, which the server's user may be unable to read and nobody has to
# be able to write:
#
#   lock        held while a script works here
#   build       a copy of the sources, built; results of pg_regress
#   install     a copy of the server with the extension installed into it
#   bin         link to the copy's programs
#   data, socket, server.log    the cluster
#
# Working with a copy of the server needs no right to write into the real one,
# leaves clusters that use the real one alone, and lets two checkouts be
# tested at once.

set -euo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

# A connection, an option or an rc file of the user's must not leak into a run,
# nor the variables of the make that called us into the make that we call.
for name in ${!PG@}; do
	[[ $name == PG_* ]] || unset "$name"
done
unset MAKEFLAGS MFLAGS MAKELEVEL
export PSQLRC=/dev/null
export LC_ALL=C.UTF-8

# the directory to work in, once use_dir() or enter_dir() was called
dir=

die()
{
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	[[ $# -lt 2 ]] || printf '  hint: %s\n' "${@:2}" >&2
	exit 1
}

is_root()
{
	[[ $(id -u) == 0 ]]
}

# Run a command as the user that owns the cluster: PostgreSQL refuses to run
# as root.
as_server()
{
	if is_root; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

# The directory of one kind of work: the same for each run of this checkout by
# this user.  Sets $dir.
use_dir()
{
	local base=${TMPDIR:-/tmp} hash

	hash=$(printf '%s:%s' "$top" "$(id -u)" | sha1sum)
	dir=${base%/}/tenancy-$1-${hash:0:8}
}

# Make that directory, make sure that it is ours (its name can be guessed, and
# others may write into its parent), and keep out other runs.
enter_dir()
{
	use_dir "$1"
	local socket=$dir/socket/.s.PGSQL.5432.lock

	# the limit of a socket's path in the kernel, less the final zero
	[[ ${#socket} -le 107 ]] ||
		die "the path \"$socket\" is too long for a socket" \
			"Set TMPDIR to a directory with a shorter path."
	mkdir -m 755 "$dir" 2>/dev/null || [[ -d $dir ]] ||
		die "could not create directory \"$dir\"" \
			"Set TMPDIR to a directory that you may write into."
	[[ -O $dir && ! -L $dir ]] ||
		die "directory \"$dir\" belongs to somebody else" \
			"Remove it, or set TMPDIR to another directory."
	if is_root; then
		id postgres >/dev/null 2>&1 ||
			die "there is no user \"postgres\" to run the server as" \
				"Create it, or run this as an ordinary user."
		as_server test -x "$dir" ||
			die "user \"postgres\" cannot reach directory \"$dir\"" \
				"Set TMPDIR to a directory that everybody can enter."
	fi

	# One run at a time; a script that this one calls is part of this run.  A
	# server must not inherit the lock: it would hold it for good.
	if [[ ${TENANCY_LOCKED:-} != "$dir" ]] && command -v flock >/dev/null; then
		exec 9>"$dir/lock"
		flock -n 9 || {
			echo "waiting for another run in $dir ..."
			flock 9
		}
		export TENANCY_LOCKED=$dir
	fi

	# The server's user may be barred from wherever we came from.
	cd "$dir"
}

# Does a server run in this data directory?  A process id that an interrupted
# run left behind may be another process's by now; where the kernel tells, ask
# it which process works in this directory.
server_runs()
{
	local data=$1 pid

	pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || return 1
	[[ -n $pid ]] && kill -0 "$pid" 2>/dev/null || return 1
	[[ ! -d /proc/self ]] || [[ /proc/$pid/cwd -ef $data ]]
}

# Signals, not pg_ctl: its program may be gone by the time that a later run
# finds the server of one that was interrupted.
stop_server()
{
	local data=$1 pid signal

	# fast shutdown first, then immediate
	for signal in INT QUIT; do
		server_runs "$data" || return 0
		pid=$(head -n 1 "$data/postmaster.pid")
		kill -"$signal" "$pid"
		for ((i = 0; i < 150; i++)); do
			server_runs "$data" || return 0
			sleep 0.2
		done
	done
	die "could not stop the server with process id $pid in \"$data\""
}
