package conformance

// dialect is how a client writes its requests: the header lines besides Host,
// Authorization and the body's framing, in the order and case in which they are
// sent.
type dialect struct {
	name    string
	without []string // of a request without a body
	with    []string // of a request with one
	chunked bool     // bodies are sent in chunks, without a Content-Length

	// The Content-Type that an answer must have for the client to read it.
	typeWithout, typeWith string
}

const (
	json9      = "application/vnd.elasticsearch+json; compatible-with=9"
	json8      = "application/vnd.elasticsearch+json; compatible-with=8"
	tight9     = "application/vnd.elasticsearch+json;compatible-with=9"
	tight8     = "application/vnd.elasticsearch+json;compatible-with=8"
	tight7     = "application/vnd.elasticsearch+json;compatible-with=7"
	serverless = "elastic-api-version: 2023-10-31"
)

// dialects are the clients whose run-times these tests do not start, and some of
// the others, whose answers are looked at here in every header.
var dialects = []dialect{
	{
		name: "HT-8 HT-10 Python 9",
		without: []string{
			"accept-encoding: identity", "accept: " + json9, "connection: keep-alive",
			"user-agent: elasticsearch-py/9.1.0 (Python/3.13.5; elastic-transport/9.1.0)",
			"x-elastic-client-meta: es=9.1.0,py=3.13.5,t=9.1.0,ur=2.5.0",
		},
		with: []string{
			"accept-encoding: identity", "accept: " + json9, "connection: keep-alive", "content-type: " + json9,
			"user-agent: elasticsearch-py/9.1.0 (Python/3.13.5; elastic-transport/9.1.0)",
			"x-elastic-client-meta: es=9.1.0,py=3.13.5,t=9.1.0,ur=2.5.0",
		},
		typeWithout: tight9, typeWith: tight9,
	},
	{
		name: "HT-8 HT-11 Python 8, which takes gzip",
		without: []string{
			"accept-encoding: gzip", "accept: " + json8, "connection: keep-alive",
			"user-agent: elasticsearch-py/8.19.0 (Python/3.9.23; elastic-transport/8.17.1)",
			"x-elastic-client-meta: es=8.19.0,py=3.9.23,t=8.17.1,ur=1.26.20",
		},
		with: []string{
			"accept-encoding: gzip", "accept: " + json8, "connection: keep-alive", "content-type: " + json8,
			"user-agent: elasticsearch-py/8.19.0 (Python/3.9.23; elastic-transport/8.17.1)",
			"x-elastic-client-meta: es=8.19.0,py=3.9.23,t=8.17.1,ur=1.26.20",
		},
		typeWithout: tight8, typeWith: tight8,
	},
	{
		name: "HT-8 HT-10 HT-16 Java 9, which names a content type without a body too",
		without: []string{
			"Accept: " + json9, "Content-Type: " + json9, "User-Agent: elasticsearch-java/9.1.0 (Java/21.0.7)",
			"X-Elastic-Client-Meta: es=9.1.0,jv=21,hl=2,t=9.1.0,hc=5.4.4", "Connection: keep-alive", "Accept-Encoding: gzip, x-gzip, deflate",
		},
		with: []string{
			"Accept: " + json9, "Content-Type: " + json9, "User-Agent: elasticsearch-java/9.1.0 (Java/21.0.7)",
			"X-Elastic-Client-Meta: es=9.1.0,jv=21,hl=2,t=9.1.0,hc=5.4.4", "Connection: keep-alive", "Accept-Encoding: gzip, x-gzip, deflate",
		},
		typeWithout: tight9, typeWith: tight9,
	},
	{
		name: "HT-8 HT-11 Java 8",
		without: []string{
			"X-Elastic-Client-Meta: es=8.19.0,jv=17,hl=2,t=8.19.0,hc=4.1.5", "Accept: " + json8, "Connection: Keep-Alive",
			"User-Agent: elastic-java/8.19.0 (Java/17.0.15)",
		},
		with: []string{
			"X-Elastic-Client-Meta: es=8.19.0,jv=17,hl=2,t=8.19.0,hc=4.1.5", "Accept: " + json8, "Connection: Keep-Alive",
			"User-Agent: elastic-java/8.19.0 (Java/17.0.15)", "Content-Type: " + json8,
		},
		typeWithout: tight8, typeWith: tight8,
	},
	{
		name: "HT-8 HT-11 the typed Go client 8",
		without: []string{
			"User-Agent: go-elasticsearch/8.19.0 (linux amd64; Go 1.24.5)", "Accept: " + tight8,
			"X-Elastic-Client-Meta: es=8.19.0,go=1.24.5,t=8.7.0,hc=1.24.5", "Accept-Encoding: gzip",
		},
		with: []string{
			"User-Agent: go-elasticsearch/8.19.0 (linux amd64; Go 1.24.5)", "Accept: " + tight8, "Content-Type: " + tight8,
			"X-Elastic-Client-Meta: es=8.19.0,go=1.24.5,t=8.7.0,hc=1.24.5", "Accept-Encoding: gzip",
		},
		typeWithout: tight8, typeWith: tight8,
	},
	{
		name: "HT-8 HT-10 .NET 9, which sends bodies in chunks",
		without: []string{
			"Accept: " + tight9, "User-Agent: elasticsearch-net/9.1.0 (Debian GNU/Linux 12; .NET 9.0.6; Elastic.Clients.Elasticsearch)",
			"x-elastic-client-meta: es=9.1.0,a=1,net=9.0.6,t=0.9.2,so=9.0.6",
		},
		with: []string{
			"Accept: " + tight9, "User-Agent: elasticsearch-net/9.1.0 (Debian GNU/Linux 12; .NET 9.0.6; Elastic.Clients.Elasticsearch)",
			"x-elastic-client-meta: es=9.1.0,a=1,net=9.0.6,t=0.9.2,so=9.0.6", "Content-Type: " + tight9,
		},
		chunked:     true,
		typeWithout: tight9, typeWith: tight9,
	},
	{
		name: "HT-8 HT-11 .NET 8",
		without: []string{
			"Accept: " + tight8, "User-Agent: elasticsearch-net/8.19.0 (Debian GNU/Linux 12; .NET 8.0.17; Elastic.Clients.Elasticsearch)",
			"x-elastic-client-meta: es=8.19.0,a=1,net=8.0.17,t=0.5.9,so=8.0.17",
		},
		with: []string{
			"Accept: " + tight8, "User-Agent: elasticsearch-net/8.19.0 (Debian GNU/Linux 12; .NET 8.0.17; Elastic.Clients.Elasticsearch)",
			"x-elastic-client-meta: es=8.19.0,a=1,net=8.0.17,t=0.5.9,so=8.0.17", "Content-Type: " + tight8,
		},
		chunked:     true,
		typeWithout: tight8, typeWith: tight8,
	},
	{
		name: "HT-8 HT-10 PHP 9",
		without: []string{
			"Accept: " + json9, "User-Agent: elasticsearch-php/9.1.0 (Linux 6.1.0; PHP 8.3.23)",
			"x-elastic-client-meta: es=9.1.0,php=8.3.23,t=9.0.0,a=0,gu=7.9.3",
		},
		with: []string{
			"Accept: " + json9, "Content-Type: " + json9, "User-Agent: elasticsearch-php/9.1.0 (Linux 6.1.0; PHP 8.3.23)",
			"x-elastic-client-meta: es=9.1.0,php=8.3.23,t=9.0.0,a=0,gu=7.9.3",
		},
		typeWithout: tight9, typeWith: tight9,
	},
	{
		name: "HT-8 HT-14 PHP 8, which lists plain text first",
		without: []string{
			"Accept: text/vnd.elasticsearch+plain; compatible-with=8,application/vnd.elasticsearch+json; compatible-with=8",
			"User-Agent: elasticsearch-php/8.19.0 (Linux 6.1.0; PHP 8.2.29)", "x-elastic-client-meta: es=8.19.0,php=8.2.29,t=8.10.0,a=0,gu=7.9.3",
		},
		with: []string{
			"Content-Type: " + json8, "Accept: " + json8,
			"User-Agent: elasticsearch-php/8.19.0 (Linux 6.1.0; PHP 8.2.29)", "x-elastic-client-meta: es=8.19.0,php=8.2.29,t=8.10.0,a=0,gu=7.9.3",
		},
		typeWithout: "application/json", typeWith: tight8,
	},
	{
		name: "HT-8 HT-10 HT-16 Ruby 9, which names a content type without a body too",
		without: []string{
			"content-type: " + json9, "accept: " + json9, "x-elastic-client-meta: es=9.1.0,rb=3.4.5,t=8.4.0,fd=2.13.4,nh=0.6.0",
			"user-agent: elasticsearch-ruby/9.1.0 (RUBY_VERSION: 3.4.5; linux x86_64; elastic-transport: 8.4.0; Faraday v2.13.4)",
			"accept-encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "connection: keep-alive", "keep-alive: 30",
		},
		with: []string{
			"content-type: " + json9, "accept: " + json9, "x-elastic-client-meta: es=9.1.0,rb=3.4.5,t=8.4.0,fd=2.13.4,nh=0.6.0",
			"user-agent: elasticsearch-ruby/9.1.0 (RUBY_VERSION: 3.4.5; linux x86_64; elastic-transport: 8.4.0; Faraday v2.13.4)",
			"accept-encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "connection: keep-alive", "keep-alive: 30",
		},
		typeWithout: tight9, typeWith: tight9,
	},
	{
		name: "HT-8 HT-11 Ruby 8",
		without: []string{
			"content-type: " + json8, "accept: " + json8, "x-elastic-client-meta: es=8.19.0,rb=3.2.8,t=8.4.0,fd=2.9.0,nh=0.3.2",
			"user-agent: elasticsearch-ruby/8.19.0 (RUBY_VERSION: 3.2.8; linux x86_64; elastic-transport: 8.4.0; Faraday v2.9.0)",
		},
		with: []string{
			"content-type: " + json8, "accept: " + json8, "x-elastic-client-meta: es=8.19.0,rb=3.2.8,t=8.4.0,fd=2.9.0,nh=0.3.2",
			"user-agent: elasticsearch-ruby/8.19.0 (RUBY_VERSION: 3.2.8; linux x86_64; elastic-transport: 8.4.0; Faraday v2.9.0)",
		},
		typeWithout: tight8, typeWith: tight8,
	},
	{
		name:        "HT-11 a client of 7.17 in compatibility mode",
		without:     []string{"Accept: " + tight7, "User-Agent: elasticsearch-py/7.17.12 (Python 3.9.23)"},
		with:        []string{"Accept: " + tight7, "Content-Type: " + tight7, "User-Agent: elasticsearch-py/7.17.12 (Python 3.9.23)"},
		typeWithout: tight7, typeWith: tight7,
	},
	{
		name:        "HT-13 HT-19 a client of 7.17 with its plain types",
		without:     []string{"Accept: */*", "User-Agent: elastic-java/7.17.29 (Java/11.0.27)"},
		with:        []string{"Content-Type: application/json; charset=UTF-8", "User-Agent: elastic-java/7.17.29 (Java/11.0.27)"},
		typeWithout: "application/json", typeWith: "application/json",
	},
	{
		name:        "HT-63 PHP 9 in serverless mode, which a like header in an answer would switch on",
		without:     []string{"Accept: application/json", serverless, "User-Agent: elasticsearch-php/9.1.0 (Linux 6.1.0; PHP 8.3.23)"},
		with:        []string{"Accept: application/json", "Content-Type: application/json", serverless, "User-Agent: elasticsearch-php/9.1.0 (Linux 6.1.0; PHP 8.3.23)"},
		typeWithout: "application/json", typeWith: "application/json",
	},
}
