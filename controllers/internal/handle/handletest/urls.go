// Package handletest has the URLs that test the rules about credentials: the Go code and the API server must give the
// same result for each of them.
package handletest

import (
	"iter"
	"strings"
)

// Canary is the credential in each of the URLs that have one.
const Canary = "c4n4ryc4n4ryc4n4ryc4n4ryzz"

// WithCredentials are URLs that are refused.
func WithCredentials() iter.Seq[string] { return lines(withCredentials) }

// WithoutCredentials are URLs that are accepted.
func WithoutCredentials() iter.Seq[string] { return lines(withoutCredentials) }

func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if url := strings.ReplaceAll(strings.TrimSpace(line), "CANARY", Canary); url != "" && !yield(url) {
				return
			}
		}
	}
}

const withCredentials = `
	https://CANARY@a.example.com
	https://user:CANARY@a.example.com

	https://a.example.com/?password=CANARY
	https://a.example.com/?Password=CANARY
	https://a.example.com/?x=1&PWD=CANARY
	https://a.example.com/?x=1;pwd=CANARY
	https://a.example.com/a;token=CANARY
	https://a.example.com?passwd=CANARY
	https://a.example.com/?passphrase=CANARY
	https://a.example.com/?db_pass=CANARY
	https://a.example.com/?dbPass=CANARY
	https://a.example.com/?pass=CANARY
	https://a.example.com/?pw=CANARY
	https://a.example.com/?auth=CANARY
	https://a.example.com/?auth[]=user&auth[]=CANARY
	https://a.example.com/?auth%5B%5D=CANARY
	https://a.example.com/?user[password]=CANARY
	https://a.example.com/?Authorization=CANARY
	https://a.example.com/?access_key=CANARY
	https://a.example.com/?accessKey=CANARY
	https://a.example.com/?access-key=CANARY
	https://a.example.com/?api_key=CANARY
	https://a.example.com/?api-key=CANARY
	https://a.example.com/?api.key=CANARY
	https://a.example.com/?hapikey=CANARY
	https://a.example.com/?dd-api-key=CANARY
	https://a.example.com/?subscription-key=CANARY
	https://a.example.com/?key=CANARY
	https://a.example.com/?a=b&KEY=CANARY
	https://a.example.com/?client_secret=CANARY
	https://a.example.com/?secret=CANARY
	https://a.example.com/?token=CANARY
	https://a.example.com/?access_token=CANARY
	https://a.example.com/?accessToken=CANARY
	https://a.example.com/#token=CANARY
	https://a.example.com/#access_token=CANARY&x=1
	https://a.example.com/#/login?token=CANARY
	https://a.example.com/?jwt=CANARY
	https://a.example.com/?bearer=CANARY
	https://a.example.com/a;jsessionid=CANARY
	https://a.example.com/?sig=CANARY
	https://a.example.com/?sv=2024-11-04&sr=c&sig=CANARY
	https://bucket.s3.amazonaws.com/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=CANARY
	https://bucket.s3.amazonaws.com/a?X-Amz-Security-Token=CANARY
	https://bucket.s3.amazonaws.com/a?AWSAccessKeyId=AKIA&Expires=1&Signature=CANARY
	https://storage.googleapis.com/bucket/a?X-Goog-Signature=CANARY
	postgres://db.example.com/app?user=app&password=CANARY
	postgres://db.example.com/app?sslpassword=CANARY
	rediss://cache.example.com:6380/0?password=CANARY
	nats://queue.example.com:4222?token=CANARY

	HTTPS://user:CANARY@a.example.com
	redis://a.example.com:1,app:CANARY@b.example.com:2
	redis+sentinel://:CANARY@a.example.com,b.example.com/main
	rediss://CANARY@cache.example.com/0#insecure
	postgresql+asyncpg://app:CANARY@db.example.com/app
	postgres://hash:a@CANARY#b@db.example.com/app
	postgres://hash:a#CANARY@db.example.com/app
	postgres://hash:1#CANARY@db.example.com/app
	postgres://app:a?CANARY@db.example.com/app
	postgres://app:CANARY/b@db.example.com/app
	jdbc:mysql://app:CANARY@db.example.com/app
	jdbc:mysql:loadbalance://app:CANARY@a.example.com,b.example.com/app
	jdbc:postgresql://db.example.com/app?user=app&password=CANARY
	jdbc:sqlserver://db.example.com:1433;user=sa;password=CANARY
	jdbc:https://hooks.slack.com/services/T0/B0/CANARY

	https://a.example.com/?p%77d=CANARY
	https://a.example.com/?p%77D=CANARY
	https://a.example.com/?api%5Fkey=CANARY
	https://a.example.com/?api%2dkey=CANARY
	https://a.example.com/?x=1;%74oken=CANARY
	https://a.example.com/#%74oken=CANARY
	https://hooks.slack.com/%73ervices/T0/B0/CANARY

	https://hooks.slack.com/services/T0/B0/CANARY
	https://Hooks.Slack.com:443/services/T0/B0/CANARY
	https://hooks.slack.com./services/T0/B0/CANARY
	https://hooks.slack.com//services/T0/B0/CANARY
	https://hooks.slack.com/workflows/T0/A0/1/CANARY
	https://hooks.slack.com/triggers/T0/1/CANARY
	https://hooks.slack-gov.com/services/T0/B0/CANARY
	https://discord.com/api/webhooks/123/CANARY
	https://discord.com/api/v10/webhooks/123/CANARY
	https://canary.discord.com/api/webhooks/123/CANARY
	https://discordapp.com/api/webhooks/123/CANARY
	http://logs-01.loggly.com/inputs/CANARY/tag/http/
	https://logs-01.loggly.com/bulk/CANARY/tag/bulk/
	https://logs.loggly.com/inputs/CANARY
	https://contoso.webhook.office.com/webhookb2/a@b/IncomingWebhook/CANARY/c
	https://outlook.office.com/webhook/a@b/IncomingWebhook/CANARY/c
	https://outlook.office365.com/webhook/a@b/IncomingWebhook/CANARY/c
	https://prod-00.westus.logic.azure.com:443/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sig=CANARY
	https://api.telegram.org/bot123:CANARY/sendMessage
	https://api.telegram.org/bot123%3ACANARY/sendMessage
	https://api.telegram.org/file/bot123:CANARY/a
	https://endpoint1.collection.us2.sumologic.com/receiver/v1/http/CANARY
	https://collectors.sumologic.com/receiver/v1/http/CANARY
	https://hooks.zapier.com/hooks/catch/123/CANARY/
	https://maker.ifttt.com/trigger/event/with/key/CANARY
	https://maker.ifttt.com/trigger/event/json/with/key/CANARY
	https://maker.ifttt.com/use/CANARY
	https://hook.eu1.make.com/CANARY
	https://hook.make.com/CANARY
	https://hook.integromat.com/CANARY
	https://webexapis.com/v1/webhooks/incoming/CANARY
	https://api.ciscospark.com/v1/webhooks/incoming/CANARY
	https://events.pagerduty.com/integration/CANARY/enqueue
	https://events.eu.pagerduty.com/x-ere/CANARY
	https://http-intake.logs.datadoghq.com/v1/input/CANARY
	https://http-intake.logs.datadoghq.eu/api/v2/logs?dd-api-key=CANARY
	https://log-api.newrelic.com/log/v1?Api-Key=CANARY
	https://listener.logz.io:8071/?token=CANARY&type=http
	https://splunk.example.com:8088/services/collector/raw?channel=a&token=CANARY
	https://chat.googleapis.com/v1/spaces/A/messages?key=a&token=CANARY
	https://app.azurewebsites.net/api/function?code=CANARY
	https://app.azurewebsites.net/api/function?a=b&code=CANARY
	https://mattermost.example.com/hooks/CANARY
	https://example.com/mattermost/hooks/CANARY
	https://chat.example.com/hooks/0123456789abcdef01234567/CANARYCANARY
`

const withoutCredentials = `
	https://a.example.com
	https://a.example.com/b@c
	https://a.example.com:8443/b@c
	https://[::1]:8443/b@c
	https://[::1]/b@c
	https://a.example.com/?q=b@c
	https://a.example.com?q=b@c
	https://a.example.com/a%20b/c%2Fd
	https://a.example.com/?q=%41%42
	https://a.example.com/?ssl=true
	https://a.example.com/?sslmode=require&sslkey=/etc/tls.key
	https://a.example.com/?keyspace=x
	https://a.example.com/?tokenizer=standard
	https://a.example.com/?max_tokens=500
	https://a.example.com/?timeout=5s
	https://a.example.com/?author=me
	https://a.example.com/?authors=me
	https://a.example.com/?authSource=admin&authMechanism=SCRAM-SHA-256
	https://a.example.com/?monkey=1
	https://a.example.com/?primary_key=id&partition-key=a&sortKey=b
	https://a.example.com/?public_key=a
	https://a.example.com/?bypass=1&compass=north&passenger=1
	https://a.example.com/?design=1&sign=1&assignature_x=1
	https://a.example.com/?secretariat=1&secret_name=a
	https://a.example.com/?session=false
	https://a.example.com/?key
	https://a.example.com/?x=token
	https://a.example.com/?sort=key
	https://a.example.com/#token
	https://a.example.com/#section-2
	https://a.example.com/password/reset
	https://a.example.com/webhooks-docs
	https://a.example.com/hooks/github
	https://a.example.com/hooks/subscription-changes
	https://a.example.com/inputs/a
	https://a.example.com/services/T0/B0/a
	https://a.example.com/callback?code=1
	https://o1.ingest.sentry.io/api/2/store/?sentry_version=7&sentry_key=public
	https://api.slack.com/messaging/webhooks
	https://hooks.slack.com.example.com/services/a
	https://hooks.slack.com
	https://discord.com/developers/docs/resources/webhook
	https://www.loggly.com/docs/inputs
	https://api.telegram.org
	https://core.telegram.org/bots/api
	https://www.sumologic.com/help/receiver
	https://zapier.com/apps/webhook/integrations
	https://www.make.com/en/help
	https://make.com/hook
	https://webexapis.com/v1/messages
	https://events.pagerduty.com/v2/enqueue
	https://http-intake.logs.datadoghq.com/api/v2/logs
	https://app.azurewebsites.net/api/function
	https://app.azurewebsites.net/api/function?barcode=1
	redis://cache.example.com:6379/0?db=1
	rediss://cache.example.com:6380/1
	redis://[::1]:6379
	postgres://db.example.com/app?require_auth=password
	postgres://db.example.com/app?sslmode=verify-full&application_name=shop
	mysql://db.example.com:3306/app?allowCleartextPasswords=true
	mysql://db.example.com:3306/app?charset=utf8mb4&parseTime=true
	amqp://queue.example.com:5672/%2F
	amqps://queue.example.com/vhost?heartbeat=10&auth_mechanism=external
	REDIS://cache.example.com/0
	redis://a.example.com:6379,b.example.com:6379/0
	redis+sentinel://a.example.com,b.example.com:26379/main/0
	rediss://cache.example.com/0?ssl_cert_reqs=none
	rediss://cache.example.com/#insecure
	postgresql+asyncpg://db.example.com/app?sslmode=require
	jdbc:postgresql://db.example.com:5432/app?ssl=true
	jdbc:mysql:replication://a.example.com,b.example.com/app
	s3://bucket/a/b?region=eu-central-1
	nats://queue.example.com:4222
	udp://metrics.example.com:8125
`
