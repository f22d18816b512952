package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"latchkey"
)

func createKey(ctx context.Context, k *calls) error {
	req := latchkey.CreateAPIKeyRequest{Name: k.c.String("name")}
	var err error
	if req.RoleDescriptors, err = k.roles(); err != nil {
		return err
	}
	if req.Expiration, req.Metadata, err = k.described(); err != nil {
		return err
	}
	made, err := k.client.CreateAPIKey(ctx, req)
	return k.made(made, err, forRequests)
}

func createCrossCluster(ctx context.Context, k *calls) error {
	req := latchkey.CreateCrossClusterAPIKeyRequest{Name: k.c.String("name"), CertificateIdentity: k.c.String("certificate-identity")}
	given, err := k.read("access", &req.Access)
	if err != nil {
		return err
	}
	if !given {
		return misused(k.c, "what may the other cluster do? Write --access")
	}
	if req.Expiration, req.Metadata, err = k.described(); err != nil {
		return err
	}
	made, err := k.client.CreateCrossClusterAPIKey(ctx, req)
	return k.made(made, err, forCluster)
}

func cloneKey(ctx context.Context, k *calls) error {
	req := latchkey.CloneAPIKeyRequest{Name: k.c.String("name"), Never: k.c.Bool("never")}
	var err error
	if req.Encoded, err = k.secretFile(k.c.String("source-file"), "the credential to copy"); err != nil {
		return err
	}
	if req.Expiration, req.Metadata, err = k.described(); err != nil {
		return err
	}
	made, err := k.client.CloneAPIKey(ctx, req)
	return k.made(made, err, forRequests)
}

// What a new credential is for.
const (
	forRequests = `ENCODED goes into the header "Authorization: ApiKey ENCODED".`
	forCluster  = "ENCODED goes into the settings of the other cluster; requests over HTTP are not made with it."
)

// made prints a new key.
func (k *calls) made(made latchkey.CreateAPIKeyResponse, err error, use string) error {
	if err != nil {
		if open(err) {
			err = fmt.Errorf("%s; a key whose secret nobody has may have been made: look for it with latchkey api-key query, and invalidate it", said(err))
		}
		return err
	}
	return k.printSecret(made, use)
}

func rotateKey(ctx context.Context, k *calls) error {
	overlap, err := k.duration("overlap")
	if err != nil {
		return err
	}
	made, err := k.client.RotateAPIKey(ctx, k.c.Args().First(), overlap)
	if err != nil {
		if open(err) {
			err = fmt.Errorf("%s; the key may have a new secret that nobody has: rotate again, which ends the secret before", said(err))
		}
		return err
	}
	return k.printSecret(made, "ENCODED takes the place of the one before.")
}

// printSecret is the only place that shows a secret.
func (k *calls) printSecret(made latchkey.CreateAPIKeyResponse, use string) error {
	err := k.print(made, func() [][]string {
		rows := [][]string{{"ID", made.ID}, {"NAME", made.Name}, {"EXPIRES", "never"}}
		if made.Expiration != 0 {
			rows[2][1] = moment(made.Expiration)
		}
		if made.OverlapUntil != 0 {
			rows = append(rows, []string{"OLD SECRET UNTIL", moment(made.OverlapUntil)})
		}
		return append(rows, []string{"API KEY", made.APIKey}, []string{"ENCODED", made.Encoded})
	})
	if err != nil {
		return fmt.Errorf("%w; the secret of key %s is lost", err, made.ID)
	}
	note(k.err, "The secret is shown this once. %s", use)
	return nil
}

func endOverlap(ctx context.Context, k *calls) error {
	ended, err := k.client.EndOverlap(ctx, k.c.Args().First())
	if err != nil {
		return err
	}
	return k.print(latchkey.EndOverlapResponse{Ended: ended}, func() [][]string {
		if !ended {
			return [][]string{{"There was no older secret that was still good."}}
		}
		return [][]string{{"The older secret has ended."}}
	})
}

func updateKeys(ctx context.Context, k *calls) error {
	var req latchkey.UpdateAPIKeyRequest
	var err error
	if req.RoleDescriptors, err = k.roles(); err != nil {
		return err
	}
	if req.Expiration, req.Metadata, err = k.described(); err != nil {
		return err
	}
	done, err := k.client.BulkUpdateAPIKeys(ctx, k.c.Args().Slice(), req)
	if err != nil {
		return err
	}
	err = k.print(done, func() [][]string {
		rows := [][]string{{"ID", "RESULT"}}
		for _, id := range done.Updated {
			rows = append(rows, []string{id, "updated"})
		}
		for _, id := range done.Noops {
			rows = append(rows, []string{id, "unchanged"})
		}
		return rows
	})
	if err != nil || done.Errors == nil {
		return err
	}
	var reasons []string
	for _, id := range slices.Sorted(maps.Keys(done.Errors.Details)) {
		reasons = append(reasons, id+": "+done.Errors.Details[id].Reason)
	}
	return fmt.Errorf("%s not updated: %s", keys(done.Errors.Count), strings.Join(reasons, "; "))
}

func updateCrossCluster(ctx context.Context, k *calls) error {
	var req latchkey.UpdateCrossClusterAPIKeyRequest
	var access latchkey.CrossClusterAccess
	given, err := k.read("access", &access)
	if err != nil {
		return err
	}
	if given {
		req.Access = &access
	}
	if k.c.IsSet("certificate-identity") {
		identity := k.c.String("certificate-identity")
		req.CertificateIdentity = &identity
	}
	if req.Expiration, req.Metadata, err = k.described(); err != nil {
		return err
	}
	id := k.c.Args().First()
	updated, err := k.client.UpdateCrossClusterAPIKey(ctx, id, req)
	if err != nil {
		return err
	}
	return k.print(latchkey.UpdateAPIKeyResponse{Updated: updated}, func() [][]string {
		result := "unchanged"
		if updated {
			result = "updated"
		}
		return [][]string{{"ID", "RESULT"}, {id, result}}
	})
}
