# Each process under its account, behind its walls: asked of the kernel, not of the programs.
load ../lib/suite

setup_file() {
	suite_make
	suite_add_mailbox roomy ':::1M'
	$DAWK update
	suite_run
	printf 'Subject: wakes the deliverer\n\nhello\n' | send_message bob@client.example alice@local.example roomy@local.example
	wait_until delivered_to alice 1
}
teardown_file() { suite_stop; }

status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
# The instance's processes whose four uids are those of ACCOUNT.
processes_of() {
	local pid uid
	uid=$(id -u "$1")
	for pid in $(suite_processes); do
		[[ $(status_of "$pid" Uid) == "$uid"$'\t'"$uid"$'\t'"$uid"$'\t'"$uid" ]] && echo "$pid"
	done
	return 0
}
named() {	# NAME: the processes that call themselves so
	local pid
	for pid in $(suite_processes); do [[ $(cat "/proc/$pid/comm") != "$1" ]] || echo "$pid"; done
}
program_of() { local path; path=$(readlink "/proc/$1/exe") && echo "${path##*/}"; }

behind_walls() {	# ACCOUNT PROGRAM: there are such processes, and each has given up all it can; `wait_until` it, as some just begin
	local pid found=0
	for pid in $(processes_of "$1"); do
		[[ $(program_of "$pid") == "$2" ]] || continue
		found=$((found + 1))
		echo "$2 $pid: Seccomp $(status_of "$pid" Seccomp) NoNewPrivs $(status_of "$pid" NoNewPrivs) CapEff $(status_of "$pid" CapEff)"
		[[ $(status_of "$pid" Seccomp) == 2 ]] || return 1
		[[ $(status_of "$pid" NoNewPrivs) == 1 ]] || return 1
		[[ $(status_of "$pid" CapEff) =~ ^0+$ && $(status_of "$pid" CapPrm) =~ ^0+$ ]] || return 1
		[[ " $(status_of "$pid" Groups) " != *" 0 "* ]] || return 1
	done
	[[ $found -gt 0 ]]
}

@test "smtpd's workers are dawks, without capabilities, behind seccomp and no_new_privs" {
	wait_until behind_walls dawks smtpd
}

@test "queued's scheduler is dawkq, in the group of dawks" {
	wait_until behind_walls dawkq queued
	pid=$(processes_of dawkq | head -n 1)
	[[ " $(status_of "$pid" Groups) " == *" $(id -g dawks) "* ]]
}

@test "stsd is dawkt, and its folder is nobody else's" {
	wait_until behind_walls dawkt stsd
	[[ $(stat -c '%U %a' "$SUITE/state/sts") == 'dawkt 700' ]]
}

@test "pop3d's workers are dawkp" {
	wait_until behind_walls dawkp pop3d
}

@test "deliverers are the mailbox's account" {
	wait_until behind_walls dawkm locald
}

@test "who looks into a mailbox for its quota is the mailbox's account" {
	wait_until behind_walls dawkm authd
	for pid in $(named quota); do [[ $(processes_of dawkm) == *"$pid"* && $(status_of "$pid" Seccomp) == 2 ]]; done
	[[ -n $pid ]]
}

@test "who makes mailboxes' folders is root, and may do no more than give away what is root's" {
	for pid in $(named folders); do
		[[ $(status_of "$pid" Uid) == 0* && $(status_of "$pid" Seccomp) == 2 && $(status_of "$pid" NoNewPrivs) == 1 ]]
		[[ $(status_of "$pid" CapEff) =~ ^0+1$ && $(status_of "$pid" CapPrm) =~ ^0+1$ ]]	# CAP_CHOWN
	done
	[[ -n $pid ]]
	[[ $(stat -c '%U %a' "$SUITE/mail/local.example" "$SUITE/mail/local.example/alice") == $'root 755\ndawkm 700' ]]
}

@test "a POP3 session is the mailbox's account, and the password was checked by a process without rights" {
	exec {session}<>"/dev/tcp/127.0.0.1/$POP3_PORT"
	printf 'USER alice@local.example\r\nPASS secret\r\nSTAT\r\n' >&"$session"
	for ((i = 0; i < 4; i++)); do IFS= read -r -t 100 line <&"$session"; done
	[[ $line == "+OK 1 "* ]]
	wait_until behind_walls dawkm authd
	wait_until behind_walls nobody authd
	printf 'QUIT\r\n' >&"$session"
	IFS= read -r -t 100 line <&"$session"
	exec {session}>&-
}

@test "root are only the openers, authd and the spawner" {
	wait_until root_is_where_it_belongs
}
root_is_where_it_belongs() {
	local pid program
	for pid in $(suite_processes); do
		[[ $(status_of "$pid" Uid) == 0* ]] || continue
		program=$(program_of "$pid")
		case $program in
		smtpd | queued | pop3d)	[[ $pid == "$(suite_pid "$program")" ]] ;;
		*)			[[ $program == authd || $program == locald ]] ;;
		esac || { echo "$pid $program"; return 1; }
	done
}

@test "the authd that holds the hashes is behind seccomp and can't gain rights, its starter alone is not" {
	wait_until hashes_are_behind_walls
}
hashes_are_behind_walls() {
	local pid walled=0 open=0
	for pid in $(processes_of root); do
		[[ $(program_of "$pid") == authd ]] || continue
		if [[ $(status_of "$pid" NoNewPrivs) == 1 && $(status_of "$pid" Seccomp) == 2 ]]; then walled=$((walled + 1)); else open=$((open + 1)); fi
	done
	echo "$walled behind walls, $open not"
	[[ $walled -ge 2 && $open -le $walled ]]
}

@test "the queue's folders have the owners and modes of the design" {
	for row in 'tmp dawkq dawks 1730' 'new dawkq dawks 1730' 'cur dawkq - 700' 'state dawkq - 700' 'hold dawkq - 700' 'trigger dawkq dawks 620'; do
		read -r place owner group mode <<<"$row"
		[[ $(stat -c '%U %a' "$SUITE/queue/$place") == "$owner $mode" ]]
		[[ $group == - || $(stat -c %G "$SUITE/queue/$place") == "$group" ]]
	done
}

@test "a dead worker is started again, mail goes on" {
	pid=$(processes_of dawks | head -n 1)
	kill -KILL "$pid"
	wait_until logged smtpd 'worker.*signal|signal.*worker|died'
	wait_until workers_are "$(nproc)"
	printf 'Subject: after it\n\nhello\n' | send_message bob@client.example bob@local.example
	wait_until delivered_to bob 1
}
workers_are() { [[ $(processes_of dawks | wc -l) -eq $1 ]]; }
