// Package latchkey is the Go client of latchkey, and of any server that speaks
// the Elasticsearch security API: API keys and tokens, and the users and roles behind them.
// It needs the standard library only.
//
//	client, err := latchkey.New("https://localhost:9200",
//		latchkey.WithCAFile("ca.crt"),
//		latchkey.WithCredential(latchkey.Basic("elastic", password)))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	made, err := client.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "deploy", Expiration: 24 * time.Hour})
//	if err != nil {
//		return err
//	}
//	deploy := client.As(made.Credential()) // calls made with the new key
//
// # Errors
//
// What went wrong can be told apart with errors.As and errors.Is:
//
//   - [*Error]: the server refused; it has a status, a type and a reason
//   - [*TransportError]: no answer came, because of the network or of TLS
//   - [*InterruptedError]: the context of the call ended first; errors.Is finds
//     context.Canceled or context.DeadlineExceeded in it
//   - [*UnreadableError]: an answer came, but not one of this API, or not all of it
//   - [*ResponseError]: the answer itself, inside of an Error and an UnreadableError
//
// All else is an argument that was refused before anything was sent.
//
// # Repetition
//
// A call goes to one address until that fails, then to the next. After a failed
// connection, an answer that is cut off, and the statuses 502, 503 and 504 it is
// repeated, three times by default, in growing intervals or after what
// Retry-After asks for, up to 5 s; a longer wait is left to the caller, who gets the
// error. [Client.CreateAPIKey], [Client.GrantAPIKey], [Client.CreateServiceToken] and
// [Client.GetToken], but for a refresh, would make a second key or token, so they are
// repeated only where no connection was made.
//
// A repeated call may find that its first attempt did the work: a key is then
// listed as invalidated before, a user as not created or not found.
//
// # Shapes
//
// The server answers with the types of this package, so they are what a client
// may rely on. A pointer is a member that may be null or absent; a slice or map
// in an answer of latchkey is never null. Objects of free form are
// json.RawMessage and are kept to the letter.
package latchkey
