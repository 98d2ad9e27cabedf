# The disk is slow, or refuses, while deliveries, commands and the scan go on.
load ../lib/queued
load ../lib/odd-disk
teardown() { suite_stop; }

in_flight() { status_says "transport=locald .* in-flight=$1 "; }

@test "a flooded mailbox does not drop a message whose results are being recorded" {
	export FAKE_FAST=1
	odd_start --set 'local-concurrency = 30'
	behave 'alice@local.example until go-a' '*@local.example hang'
	put_content news@local.example alice@local.example </dev/null >/dev/null
	wait_until in_flight 1
	behave 'alice@local.example hang' '*c@local.example until go-c' '*e@local.example until go-e' 'bob@local.example delivered 2.0.0 saved' '*@local.example hang'
	put_content --count 300 news@local.example alice+{1..3}@local.example </dev/null >/dev/null
	many_parked() { (($($DAWK status | sed -n 's/.* parked=\([0-9]*\) .*/\1/p') >= 500)); }
	wait_until many_parked
	m=$(put_content news@local.example {1..7}c@local.example alice@local.example </dev/null)
	wait_until in_flight 27
	put_content --count 60 --numbered eve@local.example %de@local.example </dev/null >/dev/null
	wait_until in_flight 30
	trouble slow
	touch "$FAKE/go-c"
	wait_until test -s "$QUEUE/state/$m"	# written, and not durable
	touch "$FAKE/go-e"
	eve_has_all() { [[ $(grep -c ' eve@' "$FAKE/delivered") -eq 60 ]]; }
	wait_until eve_has_all
	touch "$FAKE/go-a"
	wait_until in_flight 20			# the message had its turn for alice
	no_trouble slow
	put bob@local.example bob@local.example
	wait_until logged queued 'message-done .*from=bob@'
	wait_until state_says "$m" '^6 delivered'
	$DAWK status
}
