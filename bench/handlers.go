package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"

	"latchkey/internal/sqlstore"
)

// handlers are servers to measure against: net/http, and the least that an answer
// takes. They know no credentials, routes or bodies, so they are what a service on
// net/http could reach at most.
var handlers = map[string]func(addr string, args []string) error{
	"bare": bare, "bare-insert": bareInsert, "bare-lookup": bareLookup,
}

func serve(addr string, body []byte, before func(*http.Request) error) error {
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := before(r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
}

// bare serves a body to everybody: the ceiling for a net/http service.
func bare(addr string, args []string) error {
	return serve(addr, []byte(args[0]), func(*http.Request) error { return nil })
}

// bareInsert adds a key to a store for each request, as many at once as wait, and
// answers with a body: the ceiling for a service that creates keys.
func bareInsert(addr string, args []string) error {
	db, insert, err := openTable(args[0])
	if err != nil {
		return err
	}
	one, _ := group(func(n int) error { return insertAll(db, insert, n) })
	return serve(addr, []byte(args[1]), func(r *http.Request) error {
		if r.URL.Path == "/" {
			return nil // it is only asked whether it is there
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		return one(make(chan error, 1))
	})
}

// bareLookup reads the key whose id a request shows from a store, as latchkey does,
// and answers with a body: the ceiling for keys that are not in memory.
func bareLookup(addr string, args []string) error {
	db, err := sqlstore.OpenSQLite(context.Background(), args[0])
	if err != nil {
		return err
	}
	return serve(addr, []byte(args[1]), func(r *http.Request) error {
		header := r.Header.Get("Authorization")
		if header == "" {
			return nil // as in bareInsert
		}
		plain, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "ApiKey "))
		id, _, _ := strings.Cut(string(plain), ":")
		_, missing := db.APIKey(r.Context(), id)
		return errors.Join(err, missing)
	})
}
