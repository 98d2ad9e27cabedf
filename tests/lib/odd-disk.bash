# queued on a disk that is slow or fails while commands come; loaded after queued.bash; odd_run, with ODD_DISK set, does with suite.bash.
#
#   odd_start [dawk-init-args..]	an instance whose disk has troubles from time to time
#   trouble NAME, no_trouble NAME	from now on, see tests/tool/odd_disk.c
#   busy				the disk is slow, and the record of a message that was put off waits for it
#   ask COMMAND..			all of them by one connection; a line an answer: exit code and words
#   status_says PATTERN			a row of `dawk status`
ODD_DISK_LIBRARY=$BIN/../tool/odd_disk.so

odd_make() {
	queued_make "$@" || return 1
	export ODD_DISK=$SUITE/trouble
	mkdir "$ODD_DISK"
}
odd_run() {
	[[ -e $ODD_DISK_LIBRARY ]] || { echo "there is no $ODD_DISK_LIBRARY: make units"; return 1; }
	LD_PRELOAD=$ODD_DISK_LIBRARY ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 suite_run || return 1
	wait_until status_says '^waiting='	# it answers: the syncs of its start are done
}
odd_start() { odd_make "$@" && odd_run; }

trouble() { touch "$ODD_DISK/$1"; }
no_trouble() { rm "$ODD_DISK/$1"; }

busy() {
	local id
	trouble slow
	id=$(put carol@local.example busy@local.example)
	wait_until test -s "$QUEUE/state/$id"
}

ask() {
	timeout "${WAIT_SECONDS:-100}" python3 - "$SUITE/run/queued" "$@" <<-'END'
		import socket, struct, sys
		COMMAND, ANSWER = 14, 16
		with socket.socket(socket.AF_UNIX) as s:
		    s.connect(sys.argv[1])
		    frames = b""
		    for command in sys.argv[2:]:
		        values = [(command.split() + [""])[i].encode() for i in (0, 1)]
		        frame = bytes([1, COMMAND, 0]) + b"".join(struct.pack("=I", len(v)) + v for v in values)
		        frames += struct.pack("=I", len(frame)) + frame
		    s.sendall(frames)	# at once: none is answered before the next one is there
		    stream, left = s.makefile("rb"), len(sys.argv) - 2
		    while left:
		        frame = stream.read(struct.unpack("=I", stream.read(4))[0])
		        if frame[1] == ANSWER:
		            print(struct.unpack_from("=Q", frame, 3)[0], frame[15:].decode(), flush=True)
		            left -= 1
	END
}

status_says() { $DAWK status 2>/dev/null | grep -q -- "$1"; }
