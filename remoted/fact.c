#include "remoted/fact.h"

#include "common/tls_dane.h"
#include "remoted/security.h"
#include <stdio.h>
#include <sys/socket.h>

static void put_records(const struct tlsa *tlsa, char *out, size_t size)
{
	const char *at = tlsa->records, *end = at + tlsa->length;
	char record[300];
	size_t length = 0;

	*out = 0;
	while (length < size && dane_next_text(&at, end, record, sizeof record))
		length += (size_t)snprintf(out + length, size - length, "%s%s", length ? "\n" : "", record);
}

static const char *own_ip(const struct session *session, char *out)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct address_ip ip;

	if (session->stream.fd < 0 || getsockname(session->stream.fd, (struct sockaddr *)&address, &size) ||
	    !ip_from_sockaddr((struct sockaddr *)&address, &ip, &(uint16_t){ 0 }))
		return NULL;
	return ip_text(&ip, out);
}

void fact_tell(const struct session *session, enum tls_fact_result result, const char *reason)
{
	const struct exchange *exchange = security_exchange(session);
	char own[NETWORK_TEXT_MAX], peer[NETWORK_TEXT_MAX], records[1001] = "";
	struct tls_fact fact = {
		.domain = session->domain, .mx = exchange->name, .result = result, .reason = reason, .policy = records,
		.policy_type = session->site->security.sts != STS_NONE ? TLS_FACT_POLICY_STS : TLS_FACT_POLICY_NONE,
		.sending_ip = own_ip(session, own), .receiving_ip = ip_text(&session->order[session->place].ip, peer),
	};

	if (session->site->route.is_exact || session->site->route.is_lmtp)
		return;
	if (session->site->security.wants_dane && exchange->tlsa_state != TLSA_NONE) {
		fact.policy_type = TLS_FACT_POLICY_TLSA;
		if (exchange->tlsa)
			put_records(exchange->tlsa, records, sizeof records);
	}
	sts_tell_fact(&remoted.sts, &fact);
}
