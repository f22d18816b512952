// Package latchkey holds the JSON shapes of latchkey's API, which is the
// Elasticsearch security API. The server answers with these types, so they are
// what a client may rely on. It needs the standard library only.
//
// A pointer is a member that may be null or absent; a slice or map in an answer
// is never null.
package latchkey
