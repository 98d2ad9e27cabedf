# lab.sh - sourced by the peer scripts and run.sh: one chroot (debootstrap) per peer, run in its own pid, mount and
# network namespaces and its own cgroup, so that peers live side by side and CPU, memory and system calls are countable.
# shellcheck shell=bash disable=SC2086,SC2046,SC2016,SC2034,SC2013,SC2162
MB=${MB:-/var/tmp/mailbench}           # export MB=/var/tmp/mbj after "disk.sh up" (a journaled disk; see RESULTS.md)
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
USERS=${USERS:-100}
CGA=/sys/fs/cgroup/cpuacct              # CPU time, cgroup v1
CGU=/sys/fs/cgroup/unified              # perf counters, cgroup v2
LAB_HASH='$2b$04$abcdefghijklmnopqrstuuyvPXIbu7xe6/CED2DzX8z6Si09MlzlW'        # "pw", the same for all: cheap, so that sessions are measured
LAB_MAX=${LAB_MAX:-14400}               # a lab ends by itself after this many seconds

lab_mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1; }    # the one this machine uses

lab_root() {    # lab_root NAME PACKAGE... : make the chroot once
	local name=$1; shift
	[ -e "$MB/$name/.ready" ] && return
	[ -e "$MB/base/.ready" ] || { debootstrap --variant=minbase bookworm "$MB/base" "${MIRROR:-$(lab_mirror)}" >&2 && touch "$MB/base/.ready"; } || return 1
	mkdir -p "$MB/$name" && cp -a "$MB/base/." "$MB/$name/" && rm -f "$MB/$name/.ready"
	printf '#!/bin/sh\nexit 101\n' >"$MB/$name/usr/sbin/policy-rc.d"; chmod 755 "$MB/$name/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf "$MB/$name/etc/resolv.conf"
	mount --bind /dev "$MB/$name/dev"; mount -t proc proc "$MB/$name/proc"
	DEBIAN_FRONTEND=noninteractive chroot "$MB/$name" sh -c "apt-get update && apt-get install -y --no-install-recommends $*" \
		>"$MB/$name.install.log" 2>&1
	local rc=$?
	umount "$MB/$name/proc" "$MB/$name/dev"
	[ $rc = 0 ] || { tail -5 "$MB/$name.install.log" >&2; return 1; }
	printf '127.0.0.1 localhost mail.local.test\n' >"$MB/$name/etc/hosts"
	: >"$MB/$name/etc/resolv.conf"; echo mail.local.test >"$MB/$name/etc/hostname"
	chroot "$MB/$name" sh -c 'getent group vmail || groupadd -g 5000 vmail; getent passwd vmail || useradd -u 5000 -g 5000 -d /mail vmail' >/dev/null
	touch "$MB/$name/.ready"
}

lab_mail() {    # empty maildirs u0.. in the chroot's /mail, owned by vmail
	local d=$MB/$1/mail u
	rm -rf "$d"; mkdir -p "$d"
	for ((u = 0; u < USERS; u++)); do mkdir -p "$d/u$u/new" "$d/u$u/cur" "$d/u$u/tmp"; done
	chown -R 5000:5000 "$d"; chmod -R u=rwX,go= "$d"/u*; chmod 755 "$d"
}

lab_up() {      # start the namespaces; the holder is pid 1 in there and reaps orphans
	local name=$1 root=$MB/$1
	[ -e "$MB/$name.pid" ] && kill -0 "$(cat "$MB/$name.pid")" 2>/dev/null && return
	mkdir -p $CGA/mb-$name; [ -d $CGU ] && mkdir -p $CGU/mb-$name
	( echo $BASHPID >$CGA/mb-$name/cgroup.procs; [ -d $CGU ] && echo $BASHPID >$CGU/mb-$name/cgroup.procs
	  ulimit -n 20000; ulimit -u unlimited
	  exec setsid unshare -m -n -u -i -p -f --kill-child sh -c "
		mount -t tmpfs tmpfs $root/dev; cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty $root/dev/; mkdir -m 1777 $root/dev/shm; mount -t proc proc $root/proc; mount -t tmpfs tmpfs $root/run
		mkdir -p $root/run/lock; hostname mail.local.test; ip link set lo up
		echo 4096 >/proc/sys/net/core/somaxconn; echo '10000 60999' >/proc/sys/net/ipv4/ip_local_port_range
		exec chroot $root sh -c 'trap exit TERM; sleep $LAB_MAX & wait'" ) </dev/null >>"$MB/$name.holder.log" 2>&1 &
	local p=$! c i
	for i in $(seq 50); do c=$(pgrep -P $p | head -1); [ -n "$c" ] && [ "$(readlink /proc/$c/root)" = "$root" ] && break; sleep 0.1; done
	echo $p >"$MB/$name.pid"; echo "$c" >"$MB/$name.pid1"
}

lab_down() {    # end everything inside: pid 1 of the namespace goes, the kernel ends the rest
	local name=$1 i
	[ -e "$MB/$name.pid1" ] && kill -KILL "$(cat "$MB/$name.pid1")" 2>/dev/null
	for i in $(seq 50); do [ -s $CGA/mb-$name/cgroup.procs ] || break; sleep 0.1; done
	rm -f "$MB/$name.pid" "$MB/$name.pid1"
	rmdir $CGA/mb-$name $CGU/mb-$name 2>/dev/null; :
}

lab_exec() {    # run a command inside the lab of NAME (counted as the server's)
	local name=$1; shift
	( echo $BASHPID >$CGA/mb-$name/cgroup.procs; [ -d $CGU ] && echo $BASHPID >$CGU/mb-$name/cgroup.procs
	  exec nsenter -t "$(cat "$MB/$name.pid1")" -m -n -u -i -p -r -w "$@" )
}

lab_net() {     # run a command of the host in the network of NAME (load tools; not counted)
	local name=$1; shift
	nsenter -t "$(cat "$MB/$name.pid1")" -n "$@"
}

lab_cpu() { cat $CGA/mb-$1/cpuacct.usage; }      # ns, dead processes included
lab_split() { echo "$(cat $CGA/mb-$1/cpuacct.usage_user) $(cat $CGA/mb-$1/cpuacct.usage_sys)"; }
lab_pss() {     # "kB processes"
	local p s=0 n=0 v
	for p in $(cat $CGA/mb-$1/cgroup.procs); do
		v=$(awk '/^Pss:/{print $2}' /proc/$p/smaps_rollup 2>/dev/null); s=$((s + ${v:-0})); n=$((n + 1))
	done
	echo "$s $n"
}
lab_port() {    # wait until PORT of NAME listens
	local i
	for i in $(seq 100); do lab_net "$1" sh -c "ss -ltnH 'sport = :$2' | grep -q ." && return; sleep 0.1; done; return 1
}
