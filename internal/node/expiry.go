package node

import (
	"context"
	"log/slog"

	"latchkey"
	"latchkey/internal/apikey"
	"latchkey/internal/config"
	"latchkey/internal/notify"
	"latchkey/internal/sqlstore"
)

// warnOfExpiry tells the webhook of the operator about keys that expire soon,
// until ctx ends. Of the nodes that share a store one does so; if it is gone, another.
func warnOfExpiry(ctx context.Context, cfg *config.Config, keys *apikey.Service, db *sqlstore.DB, uuid string, log *slog.Logger) error {
	mine := func(context.Context) (bool, error) { return true, nil }
	if fleet := db.Fleet(); fleet != nil {
		me := newUUID()
		mine = func(ctx context.Context) (bool, error) {
			return fleet.TakeTurn(ctx, "warn of expiry", me, apikey.WarnTurn)
		}
	}
	hook := notify.NewWebhook(cfg.APIKey.ExpiryWebhook, cfg.APIKey.ExpiryWebhookAuthorization)
	defer hook.Close()
	tell := func(ctx context.Context, soon []apikey.Key) error {
		notice := latchkey.ExpiryNotice{Event: "api_keys_expire_soon", ClusterName: cfg.ClusterName, ClusterUUID: uuid}
		for _, k := range soon {
			notice.APIKeys = append(notice.APIKeys, latchkey.ExpiringAPIKey{
				ID: k.ID, Name: k.Name, Type: string(k.Type), Username: k.Owner.Username, Realm: k.Owner.Realm,
				Creation: k.CreatedAt.UnixMilli(), Expiration: k.ExpiresAt.UnixMilli(), Metadata: k.Metadata,
			})
		}
		return hook.Post(ctx, notice)
	}
	return keys.Warn(ctx, mine, tell, func(told int, err error) {
		if err != nil {
			log.Warn("the webhook was not told of keys that expire soon; it will be tried again", "told", told, "err", err)
			return
		}
		log.Info("the webhook was told of keys that expire soon", "keys", told)
	})
}
