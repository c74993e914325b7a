package cli

// dnsResources returns domains, records and update keys.
func dnsResources() []*resource {
	return []*resource{
		{
			name: "domain", help: "DNS domains.", collection: "domains/", id: "id", names: []string{"{name}"}, bare: "name", fields: []string{"name", "ttl", "authoritative", "dnssec", "forward_dns_servers", "allow_transfer", "notify", "allow_update", "racks"},
			columns: []column{
				col("DOMAIN", "name"), col("ID", "id"), col("OURS", "authoritative"), col("DEFAULT", "is_default"), col("SIGNED", "dnssec"), col("TTL", "ttl"),
				col("RECORDS", "resource_record_count"), col("FORWARDED TO", "forward_dns_servers"), col("TRANSFER", "allow_transfer"), col("NOTIFY", "notify"), col("UPDATE", "allow_update"),
			},
		},
		{
			name: "tsigkey", what: "TSIG key", help: "Keys for transfers and updates of DNS zones. The secret shows when the key is made, and never again.",
			collection: "tsigkeys/", id: "id", names: []string{"{name}"}, bare: "name", fields: []string{"name", "algorithm", "secret"},
			columns: []column{col("KEY", "name"), col("ID", "id"), col("ALGORITHM", "algorithm"), col("MADE", "created")},
		},
		{
			name: "dnsrecord", what: "DNS record", help: "DNS records, named by number, by NAME or by NAME/TYPE.", collection: "dnsresourcerecords/", id: "id", names: []string{"{fqdn}/{rrtype}", "{fqdn}"}, bare: "fqdn",
			fields:  []string{"fqdn", "name", "domain", "rrtype", "rrdata", "ttl"},
			columns: []column{col("NAME", "fqdn"), col("TYPE", "rrtype"), col("DATA", "rrdata"), col("TTL", "ttl"), col("ID", "id")},
		},
	}
}
