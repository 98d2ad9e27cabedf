# Messages made from messages: forwards and long lists.
load ../lib/queued
teardown() { suite_stop; }

@test "a forward becomes a message of its own, with the loop's mark and the DSN parameters (RFC 3461 5.2.7)" {
	queued_start
	behave 'alice@local.example forward carol@local.example'
	put --line 'envid abc' bob@local.example 'alice@local.example|notify SUCCESS|orcpt rfc822;alice@local.example'
	wait_until handed_to carol@local.example 1
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
	[[ $(content_of carol@local.example | head -n 1) == 'Delivered-To: alice@local.example' ]]
	[[ $(line_of carol@local.example) == *" bob@local.example" ]]
	content_of bob@local.example | grep -qx 'Original-Recipient: rfc822; alice@local.example'
	content_of bob@local.example | grep -qx 'Original-Envelope-Id: abc'
	content_of bob@local.example | grep -qx 'Action: delivered'
}

@test "a forward to several is told as expanded, once (RFC 3461 5.2.7)" {
	queued_start
	behave 'alice@local.example forward carol@local.example dave@local.example'
	put bob@local.example 'alice@local.example|notify SUCCESS'
	wait_until handed_to dave@local.example 1
	wait_until handed_to carol@local.example 1
	wait_until handed_to bob@local.example 1
	wait_until queue_is_empty
	content_of bob@local.example | grep -qx 'Action: expanded'
	handed_to bob@local.example 1
}

@test "a copy kept and a forward are both made" {
	queued_start
	behave 'alice@local.example keep carol@local.example'
	put bob@local.example alice@local.example
	wait_until handed_to carol@local.example 1
	wait_until queue_is_empty
	handed_to alice@local.example 1
}

make_list() {	# NAME COUNT
	printf '%s@local.example: ' "$1"
	seq -s ', ' -f 'm%.0f@local.example' "$2"
}

@test "a list of 2,500 members becomes three messages, each member gets one, from the list's owner" {
	queued_make
	{ make_list big 2500; echo 'owner-big@local.example: alice@local.example'; } >>"$SUITE/etc/aliases"
	for i in $(seq 2500); do echo "m$i@local.example:::::"; done >>"$SUITE/etc/users"
	$DAWK update
	suite_run
	put bob@local.example big@local.example
	wait_until logged queued 'expanded .* to=big@local.example'
	wait_until queue_is_empty
	[[ $(wc -l <"$FAKE/delivered") -eq 2500 ]]
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) -eq 2500 ]]
	[[ $(cut -d' ' -f1 "$FAKE/delivered" | sort -u | wc -l) -eq 3 ]]
	[[ $(cut -d' ' -f5 "$FAKE/delivered" | sort -u) == owner-big@local.example ]]
	wait_until logged_times 'message-made .*kind=part' 3
}

@test "a scheduler killed while it expands a list goes on behind the last part" {
	queued_make
	make_list big 2500 >>"$SUITE/etc/aliases"
	$DAWK update
	id=$(put --no-trigger bob@local.example big@local.example)
	part=$(put --no-trigger --line "parent $id" bob@local.example $(seq -f 'm%.0f@local.example' 1000))
	offset=$(seq -f 'm%.0f@local.example' 1000 | wc -c)
	printf '0 part 1795300000000000 %s %s m1000@local.example\n' "$offset" "$part" >"$QUEUE/state/$id"
	chown --reference="$QUEUE/state" "$QUEUE/state/$id"
	suite_run
	wait_until logged queued 'expanded .* to=big@local.example'
	wait_until queue_is_empty
	[[ $(wc -l <"$FAKE/delivered") -eq 2500 ]]
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) -eq 2500 ]]
}

@test "a list whose last part was made when everything stopped is done, and no member gets a second one" {
	queued_make
	make_list big 101 >>"$SUITE/etc/aliases"
	for i in $(seq 101); do echo "m$i@local.example:::::"; done >>"$SUITE/etc/users"
	$DAWK update
	id=$(put bob@client.example big@local.example)
	mv "$QUEUE/new/$id" "$QUEUE/cur/"
	printf 'sites local.example\n0 part 1795316589107760 end 1k0tjvrv4atck6ppc37m m101@local.example\n0 made 1795316589328274 1k0tjvrv4atck6ppc37m\n' >"$QUEUE/state/$id"
	chown --reference="$QUEUE/cur" "$QUEUE/cur/$id" "$QUEUE/state/$id"
	suite_run
	wait_until queue_is_empty
	wait_until logged queued "expanded id=$id .*to=big@local.example"
	[[ ! -s $FAKE/delivered ]]
}

@test "a list that has become short since its first part was made, and everything stopped, reaches its members" {
	queued_make
	make_list big 50 >>"$SUITE/etc/aliases"
	$DAWK update
	behave "big@local.example forward $(seq -s ' ' -f 'm%.0f@local.example' 50)"
	id=$(put --no-trigger bob@local.example big@local.example)
	printf 'sites local.example\n0 part 1795316589107760 22892 1k0tjvrv4atck6ppc37m m1000@local.example\n0 made 1795316589328274 1k0tjvrv4atck6ppc37m\n' >"$QUEUE/state/$id"
	chown --reference="$QUEUE/state" "$QUEUE/state/$id"
	suite_run
	wait_until logged queued "expanded id=$id .*to=big@local.example"
	wait_until queue_is_empty
	[[ $(sort -u -k2,2 "$FAKE/delivered" | wc -l) -eq 50 ]]
	run ! logged queued 'transport-lost transport=locald'
}
