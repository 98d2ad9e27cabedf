# Who sends much does not keep others' mail waiting. What hangs here hangs for ever: a letter that arrives has
# gone past it, whatever time it took.
load ../lib/queued
setup() { export FAKE_FAST=1; }
teardown() { suite_stop; }

letter() { put bob@local.example alice@local.example; }
# The place among all deliveries of the one to ADDRESS from SENDER.
place_of() { awk -v to="$1" -v from="$2" '$2 == to && $5 == from { print NR; exit }' "$FAKE/delivered"; }
delivered_in_all() { [[ $(wc -l <"$FAKE/delivered") -ge $1 ]]; }

@test "a newsletter whose deliveries hang leaves places free for a letter" {
	queued_start --set 'local-concurrency = 100'
	behave 'alice@local.example delivered 2.0.0 saved' '*@local.example hang'
	put_content --count 40 news@local.example u{1..50}@local.example </dev/null >/dev/null
	letter
	wait_until handed_to alice@local.example 1
	put_content --count 40 news@local.example v{1..50}@local.example </dev/null >/dev/null
	letter
	wait_until handed_to alice@local.example 2
}

@test "a newsletter in 5,000 messages that all wait does not fill the room for what is loaded" {
	queued_start
	behave 'alice@local.example delivered 2.0.0 saved' '*@local.example hang'
	put_content --count 5000 --numbered news@local.example u%d@local.example </dev/null >/dev/null
	letter
	wait_until handed_to alice@local.example 1
}

@test "a list that gives each copy a sender of its own is one sender all the same (VERP)" {
	queued_start
	behave 'alice@local.example delivered 2.0.0 saved' '*@local.example hang'
	for i in {1..10}; do
		put_content --count 300 --numbered "news+$i=x@lists.example" "u$i.%d@local.example" </dev/null >/dev/null
	done
	letter
	wait_until handed_to alice@local.example 1
}

@test "a letter behind 3,000 new ones of one sender is taken long before they are through" {
	queued_make
	put_content --count 3000 --numbered news@local.example u%d@local.example </dev/null >/dev/null
	put_content bob@local.example alice@local.example </dev/null
	suite_run
	wait_until delivered_in_all 3001
	place=$(place_of alice@local.example bob@local.example)
	((place < 2000)) || { echo "it was number $place"; false; }
	wait_until queue_is_empty
}

@test "at a mailbox that is flooded a letter of somebody else is next in turn" {
	queued_make
	put_content --count 1500 news@local.example alice@local.example </dev/null >/dev/null
	put_content bob@local.example alice@local.example </dev/null
	suite_run
	wait_until delivered_in_all 1501
	place=$(place_of alice@local.example bob@local.example)
	((place < 1000)) || { echo "it was number $place"; false; }
	wait_until queue_is_empty
}

@test "what was put off for its sender's sake is found by commands, and all of it is delivered" {
	queued_start
	behave '*@local.example hang'
	put_content --count 4000 --numbered news@local.example u%d@local.example </dev/null >"$SUITE/ids"
	wait_until logged queued queue-read
	last=$(tail -n 1 "$SUITE/ids")
	run -0 $DAWK queue remove "$last"
	[[ ! -e $QUEUE/new/$last ]]
	behave
	suite_restart queued
	wait_until queue_is_empty
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) == 3999 ]]
}
