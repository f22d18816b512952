package leak

import (
	"bytes"
	"strconv"
)

// unescape appends src to dst without the escapes that may stand within a
// credential or beside it: %3D of URLs, \/ and \u003d of JSON; \n and its like
// become blanks. The last rest bytes may be the begin of an escape and are left,
// unless nothing comes after them. Zero bytes are dropped.
func unescape(dst, src []byte, last bool) (_ []byte, rest int) {
	for {
		n := bytes.IndexAny(src, "%\\\x00")
		if n < 0 {
			return append(dst, src...), 0
		}
		dst, src = append(dst, src[:n]...), src[n:]
		c, size := escape(src)
		switch {
		case size == 0 && last:
			return append(dst, src...), 0
		case size == 0:
			return dst, len(src)
		case c != 0:
			dst = append(dst, c)
		}
		src = src[size:]
	}
}

// escape returns what the first size bytes of src stand for, 0 for nothing at all;
// size is 0 if more of src is needed to tell.
func escape(src []byte) (c byte, size int) {
	switch {
	case src[0] == 0:
		return 0, 1
	case src[0] == '%':
		return coded(src, len("%3D"), 1)
	case len(src) < 2:
		return 0, 0
	case src[1] == 'u':
		return coded(src, len(`\u003d`), 2)
	case src[1] == '/':
		return '/', 2
	case bytes.IndexByte([]byte(`nrtbf"'\`), src[1]) >= 0:
		return ' ', 2
	}
	return ' ', 1 // of no escape
}

// coded reads an escape of the given size with hexadecimal digits from digits on.
// Those of other characters than ASCII's, and what is no escape, become a blank.
func coded(src []byte, size, digits int) (byte, int) {
	if len(src) < size {
		return 0, 0
	}
	c, err := strconv.ParseUint(string(src[digits:size]), 16, 16)
	switch {
	case err != nil:
		return ' ', 1
	case c == 0 || c >= 0x80:
		return ' ', size
	}
	return byte(c), size
}
