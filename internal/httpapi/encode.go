package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/klauspost/compress/gzip"

	"latchkey/internal/xcontent"
)

// jsonOptions make what encoding/json makes, but for nil slices and maps, which
// are [] and {}, and for <, > and &, which stay as they are.
var jsonOptions = json.JoinOptions(
	jsonv1.OmitEmptyWithLegacySemantics(true),
	json.Deterministic(true),
	jsontext.AllowInvalidUTF8(true),
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps one huge answer from being held for ever.
const maxPooled = 1 << 20 // bytes

// view says how an answer is shown.
type view struct {
	typ        mediaType
	pretty     bool
	trace      bool   // error_trace
	filterPath string // as given; "" for none
	filter     filter // parsed from it
	gzip       bool   // the client takes it and the server gives it
	head       bool   // no body
}

// plain reports whether marshalled JSON can go out as it is.
func (v *view) plain() bool {
	return v.typ.format == jsonFormat && !v.pretty && v.filterPath == ""
}

// encode writes body into b. Only what is not a tree yet is filtered: errors are
// shown whole.
func (v *view) encode(ctx context.Context, b *bytes.Buffer, body any) error {
	if tree, ok := body.(xcontent.Value); ok {
		return v.encodeTree(b, tree)
	}
	if err := json.MarshalWrite(b, body, jsonOptions); err != nil || v.plain() {
		return err
	}
	tree, err := xcontent.ParseOwn(b.Bytes())
	if err != nil {
		return err
	}
	if v.filterPath != "" {
		if tree, err = v.filter.apply(ctx, tree); err != nil {
			return err
		}
	}
	b.Reset()
	return v.encodeTree(b, tree)
}

func (v *view) encodeTree(b *bytes.Buffer, tree xcontent.Value) error {
	var out []byte
	var err error
	switch {
	case v.typ.format == yamlFormat:
		out, err = tree.YAML()
	case v.typ.format == cborFormat:
		out, err = tree.CBOR()
	case v.pretty:
		out = append(tree.AppendPretty(b.AvailableBuffer(), 0), '\n')
	default:
		out = tree.AppendJSON(b.AvailableBuffer())
	}
	b.Write(out)
	return err
}

// send writes the headers and body.
func (v *view) send(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	if h["Content-Type"] == nil {
		h["Content-Type"] = contentTypes[v.typ]
	}
	if v.gzip && len(body) >= minGzip {
		z := buffers.Get().(*bytes.Buffer)
		defer release(z)
		compress(z, body)
		h["Content-Encoding"] = gzipEncoding
		body = z.Bytes()
	}
	if v.head || len(body) >= smallAnswer {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	if status != http.StatusOK || len(body) >= smallAnswer {
		setWriteDeadline(w, answerTimeout) // net/http takes it back after the answer
	}
	if v.head {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// smallAnswer is the size under which net/http itself finds the length, cheaper
// than we do. A success of less also goes without a deadline, which would cost
// every request: only a client that holds credentials, asks again and again and
// never reads could wait there, with no more of ours than an idle connection has.
const smallAnswer = 2048 // bytes

func release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		buffers.Put(b)
	}
}

// minGzip is the size from which compression is worth its time: less fits in one packet anyway.
const minGzip = 512 // bytes

var gzipEncoding = []string{"gzip"}

var gzips = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, 3)
	if err != nil {
		panic(err) // the level is constant
	}
	return z
}}

func compress(to *bytes.Buffer, data []byte) {
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(to)
	_, _ = z.Write(data) // writing to a bytes.Buffer does not fail
	_ = z.Close()
}

// acceptsGzip reads Accept-Encoding: gzip is wanted if it, or else *, has a weight above 0.
func acceptsGzip(h http.Header) bool {
	any := false
	for _, line := range h["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(strings.Trim(part, " \t"), ";")
			_, weight, weighted := strings.Cut(params, "q=")
			q, err := strconv.ParseFloat(strings.Trim(weight, " \t"), 64)
			wanted := !weighted || err == nil && q > 0
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "gzip":
				return wanted
			case "*":
				any = wanted
			}
		}
	}
	return any
}

// The parts that error bodies are built of.

func object(members ...xcontent.Member) xcontent.Value {
	return xcontent.Value{Kind: xcontent.Object, Members: members}
}

func member(name string, v xcontent.Value) xcontent.Member {
	return xcontent.Member{Name: name, Value: v}
}

func text(s string) xcontent.Value { return xcontent.Value{Kind: xcontent.String, Text: s} }

func number(n int) xcontent.Value {
	return xcontent.Value{Kind: xcontent.Number, Text: strconv.Itoa(n)}
}
