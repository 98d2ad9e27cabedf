# dawk queue and dawk status on disk, with no service running.
load ../lib/suite

setup() { suite_make; }
teardown() { suite_stop; }
queue() { $DAWK queue "$@"; }
code() { /usr/bin/python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }

# message PLACE ID FROM TO: a whole message file as smtpd writes it; in cur with a deferral.
message() {
	local LC_ALL=C envelope content=$'Subject: hi\r\n\r\nhello\r\n' arrived
	arrived=$(($(date +%s) * 1000000))
	envelope=$(printf 'id %s\narrived %s\nfrom %s\nprotocol ESMTP\nclient 192.0.2.1\nrecipient alice@local.example\nrecipient %s\n_' "$2" "$arrived" "$3" "$4")
	envelope=${envelope%_}
	printf 'dawk 1 %010d %07d\n%s%s\nlength %020d\nend dawk\n' "${#envelope}" 2 "$envelope" "$content" "${#content}" >"$SUITE/queue/$1/$2"
	[[ $1 == new ]] || printf 'sites far.example\n0 delivered %s 2.0.0 - saved\n1 deferred %s 4.4.1 mx.far.example connection "refused"\n' "$arrived" "$arrived" >"$SUITE/queue/state/$2"
	chown --reference="$SUITE/queue/cur" "$SUITE/queue/$1/$2" "$SUITE/queue/state/$2" 2>/dev/null || :
}
first=1k0t626yc4a07p3dz7bt second=1k0t63ej11vh0yk7hbjt absent=1k0t63ej11vh0yk7hbjx

@test "list shows place, sender, who is left and the last reason, oldest first" {
	run -0 queue
	[[ $output == "nothing waits" ]]
	message new $second bob@client.example zoe@near.example
	message cur $first carol@client.example dan@far.example
	run -0 queue list
	[[ ${lines[0]} == "$first deferred "*"<carol@client.example> -> <dan@far.example>"*'4.4.1 mx.far.example: connection "refused"'* ]]
	[[ ${lines[1]} == "$second new "*"<alice@local.example> and 1 more"* ]]
}

@test "list chooses by recipient, sender, age and reason" {
	message new $second bob@client.example zoe@near.example
	message cur $first carol@client.example dan@far.example
	run -0 queue list --to far.example
	[[ $output == *"$first"* && $output != *"$second"* ]]
	run -0 queue list --from BOB
	[[ $output == *"$second"* && $output != *"$first"* ]]
	run -0 queue list --reason refused
	[[ $output == *"$first"* && $output != *"$second"* ]]
	run -0 queue list --age 1h
	[[ $output == *"0 of 2"* ]]
	run -64 queue list --age soon
	run -64 queue show --to x $first
}

@test "a choice and a domain find U-labels by A-labels, and the other way round" {
	message cur $second zoe@straße.example dan@bücher.example
	message cur $first zoe@xn--strae-oqa.example dan@xn--bcher-kva.example
	for choice in --to={,dan@}{bücher,xn--bcher-kva,Bücher}.example --from={,@}{straße,xn--strae-oqa}.example --from=xn--strae; do
		run -0 queue list "$choice"
		[[ $output == *"$first"*"$second"* ]]
	done
	run -0 queue list --to=bücher.example --from=zoe@bücher.example
	[[ $output == *"0 of 2"* ]]
	for name in bücher.example xn--bcher-kva.example; do
		run -0 queue retry $name
		[[ $output == "2 messages are due"* ]]
	done
	run -65 queue retry straße.example
	run -0 queue hold --to=xn--bcher-kva.example --yes
	[[ -e $SUITE/queue/hold/$first && -e $SUITE/queue/hold/$second ]]
}

@test "acts take the same choice in place of IDs, and count first" {
	message new $second bob@client.example zoe@near.example
	message cur $first carol@client.example dan@far.example
	run -0 queue hold --to far.example
	[[ $output == "1 of 2 messages match; with --yes it is held" && -e $SUITE/queue/cur/$first ]]
	run -0 queue hold --to far.example --reason REFUSED --from carol@ --yes
	[[ $output == "$first is held" && -e $SUITE/queue/hold/$first && -e $SUITE/queue/new/$second ]]
	run -65 queue hold --to far.example --yes
	[[ $output == *"none of 2 messages match"* ]]
	run -65 queue retry --to far.example --yes
	run -0 queue release --older 0s
	[[ $output == "1 of 2 messages match; with --yes it is released" ]]
	run -0 queue release --older 0s --yes
	[[ -e $SUITE/queue/cur/$first ]]
	touch -d 'next week' "$SUITE/queue/state/$first"
	run -0 queue retry --from carol --yes
	(($(stat -c %Y "$SUITE/queue/state/$first") <= $(date +%s)))
	run -0 queue remove --from client.example
	[[ $output == "2 of 2 messages match; with --yes they are removed" ]]
	[ "$($DAWK queue remove --from client.example --yes --json | code '[a["words"][21:] for a in d]')" = "['is removed', 'is removed']" ]
	queue_is_empty
	run -64 queue hold
	run -64 queue hold --to x $first
	run -64 queue hold $first --yes
	run -64 queue flush --to x
	run -64 queue list --yes
}

@test "JSON of list, show and status parses, whatever the other side said (RFC 8259)" {
	message cur $first carol@client.example dan@far.example
	[ "$(queue list --json | code 'd[0]["recipients"][0]')" = dan@far.example ]
	[ "$(queue show $first --json | code 'd["history"][1]["words"]')" = 'connection "refused"' ]
	printf '1 deferred 1795300000123456 4.4.1 mx.far.example caf\303\251 \377\303 "a\\b"\t\177 end\n' >>"$SUITE/queue/state/$first"
	[ "$(queue list --json | code 'd[0]["reason"].endswith("caf\u00e9 \ufffd\ufffd \"a\\b\"\t\x7f end")')" = True ]
	[ "$({ $DAWK status --json || :; } | code 'd["queue"]["deferred"]["messages"]')" = 1 ]
	[ "$({ $DAWK status --json || :; } | code 'd["fails"][0]["messages"]')" = 1 ]
}

@test "what a stranger says never drives the terminal, and is whole in JSON" {
	message cur $first carol@client.example "d$(printf '\302\233')31m@far.example"	# from before such addresses were refused
	sed -i "s/^client 192.0.2.1/helo h$(printf '\342\200\256')x/; s/^dawk 1 0*[0-9]*/dawk 1 0000000000/" "$SUITE/queue/cur/$first"
	python3 - "$SUITE/queue/cur/$first" <<-'EOF'
		import sys
		bytes = open(sys.argv[1], "rb").read()
		head, rest = bytes.split(b"\n", 1)
		envelope = rest[:rest.index(b"Subject:")]
		open(sys.argv[1], "wb").write(b"dawk 1 %010d %s\n" % (len(envelope), head.split()[3]) + rest)
	EOF
	printf 'sites far.example\n0 delivered 1 2.0.0 - saved\n1 deferred 1 4.4.1 mx.far.example red \302\233 31m \233 raw\n' >"$SUITE/queue/state/$first"
	for look in list "show $first"; do
		run -0 queue $look
		[[ $output == *'<d??31m@far.example>'* && $output == *'red ?? 31m ? raw'* ]]
		run -1 grep -aP '\x9b|\xe2\x80\xae' <<<"$output"
	done
	[[ $(queue list --json | code 'd[0]["recipients"][0] == "d\x9b31m@far.example"') == True ]]
	[[ $(queue show --json $first | code 'd["helo"] == "h\u202ex"') == True ]]
	run -1 grep -aP '\x9b|\xe2\x80\xae' <(queue list --json; queue show --json $first)
}

@test "acts tell in JSON too, each with its exit code (RFC 8259)" {
	message cur $first carol@client.example dan@far.example
	[ "$($DAWK queue hold $first --json | code 'd[0]["words"]')" = "$first is held" ]
	[ "$({ $DAWK queue release $absent $first --json || :; } | code '[a["code"] for a in d]')" = '[65, 0]' ]
	[ "$($DAWK queue flush --json | code 'len(d)')" = 1 ]
}

@test "show gives envelope, recipients and history" {
	message cur $first carol@client.example dan@far.example
	run -0 queue show $first
	[[ $output == *"<carol@client.example>"*"<alice@local.example> done"*"<dan@far.example> waits"*"1 deferred 4.4.1 mx.far.example"* ]]
}

@test "hold, retry, release and remove act on disk and keep owner and state" {
	message cur $first carol@client.example dan@far.example
	owner=$(stat -c %u:%g "$SUITE/queue/cur/$first")
	touch -d 'next week' "$SUITE/queue/state/$first"
	run -0 queue hold $first
	[ -e "$SUITE/queue/hold/$first" ]
	run -65 queue retry far.example
	[ -e "$SUITE/queue/hold/$first" ]
	run -0 queue retry $first
	[ -e "$SUITE/queue/cur/$first" ]
	run -0 queue hold $first
	run -0 queue release $first
	[ "$(stat -c %u:%g "$SUITE/queue/cur/$first" "$SUITE/queue/state/$first" | sort -u)" = "$owner" ]
	(($(stat -c %Y "$SUITE/queue/state/$first") <= $(date +%s)))
	grep -q deferred "$SUITE/queue/state/$first"
	run -65 queue release $first
	run -0 queue remove $first
	queue_is_empty
}

@test "a message that was never deferred goes back to where new ones are" {
	message new $second bob@client.example zoe@near.example
	run -0 queue hold $second
	[ -e "$SUITE/queue/hold/$second" ]
	run -0 queue release $second
	[ -e "$SUITE/queue/new/$second" ]
}

@test "retry by ID, by domain and flush make the time of the next attempt now" {
	message cur $first carol@client.example dan@far.example
	for what in "retry $first" "retry far.example" flush; do
		touch -d 'next week' "$SUITE/queue/state/$first"
		run -0 queue $what
		(($(stat -c %Y "$SUITE/queue/state/$first") <= $(date +%s)))
	done
	run -65 queue retry local.example
	run -65 queue retry none.example
}

@test "an ID that does not exist, or is none, is an error (sysexits 65)" {
	for verb in show hold release remove retry; do
		run -65 queue $verb $absent
		[[ $output == *$absent* ]]
	done
	run -65 queue remove ../../etc/users
	[ -e "$SUITE/etc/users" ]
	message cur $first carol@client.example dan@far.example
	run -65 queue hold $absent $first
	[ -e "$SUITE/queue/hold/$first" ]
}

@test "while another holds the queue's lock nothing is done on disk (sysexits 75)" {
	message cur $first carol@client.example dan@far.example
	run -75 flock "$SUITE/queue/lock" $DAWK queue hold $first
	[[ $output == *lock* ]]
	[ -e "$SUITE/queue/cur/$first" ]
}

@test "a corrupt message is listed with its reason and can be removed" {
	echo nonsense >"$SUITE/queue/corrupt/$first"
	run -0 queue list
	[[ ${lines[0]} == "$first corrupt "* ]]
	run -0 queue show $first
	run -65 queue retry $first
	run -0 queue remove $first
	queue_is_empty
}

@test "a queue over the limit of sorting is listed whole" {
	message new $first carol@client.example dan@far.example
	digits=0123456789abcdefghjkmnpqrstvwxyz
	for ((i = 0; i < 1023; i++)); do
		id=1k0t626yc4a07p3d${digits:i / 32 % 32:1}${digits:i % 32:1}zz
		sed "s/$first/$id/" "$SUITE/queue/new/$first" >"$SUITE/queue/new/$id"
	done
	run -0 queue list
	[ "${#lines[@]}" -eq 1025 ]
	[[ ${lines[1024]} == "1024 messages" ]]
	[ "$(queue list --json | code 'len(d)')" = 1024 ]
}

# many COUNT: so many messages in cur, each with a state.
many() {
	local i id digits=0123456789abcdefghjkmnpqrstvwxyz
	message cur $first carol@client.example dan@far.example
	for ((i = 0; i < $1; i++)); do
		id=1k0t626yc4a07p3d${digits:i / 32 % 32:1}${digits:i % 32:1}${digits:i / 1024:1}z
		[[ $id == "$first" ]] || sed "s/$first/$id/" "$SUITE/queue/cur/$first" >"$SUITE/queue/cur/$id"
		cp -p "$SUITE/queue/state/$first" "$SUITE/queue/state/$id"
	done
	rm "$SUITE/queue/cur/$first" "$SUITE/queue/state/$first"
	chown --reference="$SUITE/queue/cur" "$SUITE/queue/cur"/* 2>/dev/null || :
}

@test "several readers list each message once, in words and in JSON, also of those that match" {
	many 1300
	message cur $second bob@client.example zoe@near.example
	for what in "" "--from carol" "--to far.example" "--older 0s"; do
		run -0 queue list $what
		count=1300
		[[ $what == --from* || $what == --to* ]] || count=1301
		[[ $(grep -cE '^1k0t6[0-9a-z]{15} deferred ' <<<"$output") -eq $count ]]
		[[ $(cut -d' ' -f1 <<<"$output" | sort -u | grep -c ^1k) -eq $count ]]
		[ "$(queue list $what --json | code 'len(set(m["id"] for m in d)), len(d)')" = "$count $count" ]
	done
	[[ ${lines[-1]} == "1301 messages" ]]
	run -0 queue list --from nobody
	[[ $output == "0 of 1301 messages" ]]
	[ "$(queue list --from nobody --json)" = "[]" ]
}

@test "who reads no further than the first row ends the list with all its readers" {
	many 1300
	[[ $({ $DAWK queue list; } | head -n 1) == 1k0t6*far.example* ]]
	listers() { pgrep -f "^$DAWK queue list" >/dev/null; }
	wait_until eval '! listers'
}

@test "rows without words keep the command waiting, and are not shown" {
	python3 - "$SUITE/run/queued" "$SUITE/listening" >"$SUITE/server" 2>&1 3>&- <<-'END' &
		import os, socket, struct, sys
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen()
		os.mknod(sys.argv[2])
		peer = listener.accept()[0]
		peer.recv(1000)
		frame = lambda kind, body: struct.pack("<IBBB", 3 + len(body), 1, kind, 0) + body
		words = b"7 messages are due at once"
		peer.sendall(2 * frame(15, struct.pack("<I", 0)) + frame(16, struct.pack("<QI", 0, len(words)) + words))
		peer.recv(1000)
	END
	wait_until test -e "$SUITE/listening"
	run -0 queue retry far.example
	[[ $output == "7 messages are due at once" ]]
	[ "$(cat "$SUITE/server")" = "" ]
}

@test "a look at the queue leaves no trace at its files" {
	message cur $first carol@client.example dan@far.example
	touch -d 'next week' "$SUITE/queue/state/$first"
	touch -a -d 'last week' "$SUITE/queue/state/$first" "$SUITE/queue/cur/$first"
	times() { stat -c '%X %Y %Z' "$SUITE/queue/state/$first" "$SUITE/queue/cur/$first"; }
	before=$(times)
	for what in list "show $first" "retry --to nobody"; do $DAWK queue $what >/dev/null 2>&1 || :; done
	run -69 $DAWK status
	[[ $(times) == "$before" ]]
}

@test "an act on many messages waits for the disk a few times, not once for each" {
	many 600
	owners() { stat -c %u:%g "$SUITE"/queue/*/1k* | sort | uniq -c; }
	before=$(owners)
	waits() {	# ACT, its words, where they are then
		run -0 strace -f -qq -e trace=fsync,fdatasync,syncfs,sync -e signal=none -o "$SUITE/trace" $DAWK queue "$1" --older 0s --yes
		[[ $(grep -c " $2\$" <<<"$output") -eq 600 ]]
		(($(grep -cE '(fsync|syncfs|sync)\(' "$SUITE/trace") < 12))
		[[ -z $3 ]] || [[ $(find "$SUITE/queue/$3" -type f | wc -l) -eq 600 ]]
	}
	waits hold 'is held' hold
	touch -d 'next week' "$SUITE/queue/state"/*
	waits release 'is due at once' cur
	[[ -z $(find "$SUITE/queue/state" -type f -newermt '+1 hour') ]]
	touch -d 'next week' "$SUITE/queue/state"/*
	waits retry 'is due at once' cur
	[[ -z $(find "$SUITE/queue/state" -type f -newermt '+1 hour') ]]
	[[ $(owners) == "$before" ]]
	waits remove 'is removed'
	queue_is_empty
	[[ $(sort -u "$SUITE/queue/removed" | wc -l) -eq 600 ]]
}

@test "killed in the midst of many, an act has left each message whole and in one place; done again, it ends" {
	lying() { find "$SUITE"/queue/{new,cur,hold} -type f | sed 's,.*/,,' | sort; }
	many 20
	all=$(lying)
	killed() {	# ACT CALL WHEN
		run -137 strace -f -qq -e "trace=$2" -e "inject=$2:signal=KILL:when=$3" -o "$SUITE/trace" $DAWK queue "$1" --older 0s --yes
		[[ $output != *" is "* ]]
		[[ $(ls "$SUITE/queue/state") == "$all" ]]
	}
	for step in renameat2:1 renameat2:7 fsync:1 fsync:2; do
		killed hold "${step%:*}" "${step#*:}"
		[[ $(lying) == "$all" ]]
		run $DAWK queue hold --older 0s --yes
		[[ $(find "$SUITE/queue/hold" -type f | wc -l) -eq 20 ]]
		killed release "${step%:*}" "${step#*:}"
		[[ $(lying) == "$all" ]]
		run $DAWK queue release --older 0s --yes
		[[ $(find "$SUITE/queue/cur" -type f | wc -l) -eq 20 ]]
	done
	for step in pwrite64:1 fsync:1 unlinkat:7 fsync:2; do
		killed remove "${step%:*}" "${step#*:}"
		[[ $(cat <(lying) "$SUITE/queue/removed" | sort -u) == "$all" ]]
	done
	run $DAWK queue remove --older 0s --yes
	[[ -z $(lying) ]]
}

@test "status says what does not run and counts what waits (sysexits 69)" {
	message new $second bob@client.example zoe@near.example
	message cur $first carol@client.example dan@far.example
	run -69 $DAWK status
	[[ $output == *"queued   DOWN"* && $output == *"smtpd    DOWN 127.0.0.1:$SMTP_PORT"* ]]
	[[ $output == *"new      1, the oldest"* && $output == *"deferred 1, the oldest"* ]]
	[[ $output == *"fails    1: 4.4.1 mx.far.example"* ]]
}

@test "the queue is not for others to see (sysexits 77)" {
	((EUID == 0)) || return 0	# without root there is nobody else to be
	for what in "queue" "queue flush" "user list"; do
		run -77 setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups $DAWK $what
		[ -n "$output" ]
	done
}
