package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BackingService is an attached resource: anything an app consumes over the network, provisioned by Bindery or run by
// somebody else. A Binding attaches it to an app.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bsvc,categories=bindery
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Verified",type=string,JSONPath=`.status.conditions[?(@.type=="Verified")].reason`
// +kubebuilder:printcolumn:name="Attached",type=integer,JSONPath=`.status.attachmentCount`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status.handle.secretName`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.seedFrom) || self.spec.seedFrom.name != self.metadata.name",message="spec.seedFrom.name: a service cannot get its data from itself: name another BackingService"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.spec.seedFrom) || has(self.spec.seedFrom) && self.spec.seedFrom.name == oldSelf.spec.seedFrom.name || !has(oldSelf.status) || !has(oldSelf.status.move) || oldSelf.status.move.step == 'Done' || oldSelf.status.attachmentCount == 0",message="spec.seedFrom.name: apps are attached to this service, and their data is still written at its source: set spec.serviceRef of their Bindings back to that one first, or wait until status.move.step is Done"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.spec.seedFrom) || !has(self.spec.seedFrom) || self.spec.seedFrom.method == oldSelf.spec.seedFrom.method || !has(oldSelf.status) || !has(oldSelf.status.move) || oldSelf.status.move.step == 'Seeding' || oldSelf.status.move.step == 'Checking' || oldSelf.status.move.step == 'GivenUp' || oldSelf.status.move.step == 'Done'",message="spec.seedFrom.method: the data is being moved: set spec.serviceRef of the Bindings back to the source first, or wait until status.move.step is Done"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes a host name: at most 50 lower case letters, digits and '-', starting with a letter, for example visits"
type BackingService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what the service is and where it comes from.
	// +required
	Spec BackingServiceSpec `json:"spec"`

	// status is written by Bindery. Its observedGeneration is -1 until Bindery has looked at the object, which tells tools that
	// read kstatus to wait.
	// +optional
	// +default={"observedGeneration": -1}
	Status BackingServiceStatus `json:"status,omitempty"`
}

// BackingServiceList is a list of BackingServices.
//
// +kubebuilder:object:root=true
type BackingServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackingService `json:"items"`
}

// ServiceType is what an app speaks to a backing service.
//
// +kubebuilder:validation:Enum=redis;collector;mysql;postgresql;couchdb;rabbitmq;beanstalkd;memcached;smtp;postmark;s3;opensearch;newrelic;loggly;twitter;googlemaps;lastfm;http;generic
type ServiceType string

// The types that the catalog knows. The table of their variables and schemes is in the documentation.
const (
	TypeRedis      ServiceType = "redis"
	TypeCollector  ServiceType = "collector"
	TypeMySQL      ServiceType = "mysql"
	TypePostgreSQL ServiceType = "postgresql"
	TypeCouchDB    ServiceType = "couchdb"
	TypeRabbitMQ   ServiceType = "rabbitmq"
	TypeBeanstalkd ServiceType = "beanstalkd"
	TypeMemcached  ServiceType = "memcached"
	TypeSMTP       ServiceType = "smtp"
	TypePostmark   ServiceType = "postmark"
	TypeS3         ServiceType = "s3"
	TypeOpenSearch ServiceType = "opensearch"
	TypeNewRelic   ServiceType = "newrelic"
	TypeLoggly     ServiceType = "loggly"
	TypeTwitter    ServiceType = "twitter"
	TypeGoogleMaps ServiceType = "googlemaps"
	TypeLastFM     ServiceType = "lastfm"
	TypeHTTP       ServiceType = "http"
	TypeGeneric    ServiceType = "generic"
)

// BackingServiceSpec says what the service is and where it comes from. Exactly one of redis, collector, external and
// resourceRef is set, and cannot be changed to another one: another source is another BackingService.
//
// +kubebuilder:validation:XValidation:rule="(has(self.redis) ? 1 : 0) + (has(self.collector) ? 1 : 0) + (has(self.external) ? 1 : 0) + (has(self.resourceRef) ? 1 : 0) == 1",message="set exactly one source: spec.redis, spec.collector, spec.external or spec.resourceRef"
// +kubebuilder:validation:XValidation:rule="!has(self.redis) || self.type == 'redis'",message="spec.redis provisions a service of type redis: set spec.type to redis, or describe a service that somebody else runs with spec.external or spec.resourceRef"
// +kubebuilder:validation:XValidation:rule="!has(self.collector) || self.type == 'collector'",message="spec.collector provisions a service of type collector: set spec.type to collector, or describe a service that somebody else runs with spec.external or spec.resourceRef"
// +kubebuilder:validation:XValidation:rule="has(self.redis) == has(oldSelf.redis) && has(self.collector) == has(oldSelf.collector) && has(self.external) == has(oldSelf.external) && has(self.resourceRef) == has(oldSelf.resourceRef)",message="the source of a service is immutable: create another BackingService and set spec.serviceRef of the Binding to it"
// +kubebuilder:validation:XValidation:rule="!has(self.external) || !has(self.external.url) || !(self.type in ['postmark', 'newrelic', 'loggly', 'twitter', 'googlemaps', 'lastfm'])",message="the handle of this type is a credential: keep it in a Secret and name it with spec.external.secretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.external) || !has(self.external.secretRef) || !has(self.external.secretRef.compose) || !(self.type in ['postmark', 'newrelic', 'loggly', 'twitter', 'googlemaps', 'lastfm'])",message="the handle of this type is a token, and no URL: name its key with spec.external.secretRef.key"
// +kubebuilder:validation:XValidation:rule="self.type != 'beanstalkd' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(beanstalk|beanstalkd)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type beanstalkd must begin with beanstalk://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'collector' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(http|https)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type collector must begin with http:// or https://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'couchdb' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(couchdb|couchdbs|http|https)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type couchdb must begin with http:// or https://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'http' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(http|https)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type http must begin with http:// or https://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'memcached' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(memcache|memcached|memcacheds|pylibmc|pymemcache)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type memcached must begin with memcached://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'mysql' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(mariadb|mysql|mysql2|mysqls|trilogy)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type mysql must begin with mysql://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'opensearch' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(elasticsearch|http|https|opensearch)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type opensearch must begin with http:// or https://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'postgresql' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(pg|pgsql|postgis|postgres|postgresql|psql)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type postgresql must begin with postgres:// or postgresql://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'rabbitmq' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|librabbitmq|pyamqp|rabbitmq)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type rabbitmq must begin with amqp:// or amqps://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'redis' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|sentinel|valkey|valkeys)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type redis must begin with redis:// or rediss://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 's3' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(http|https|s3|s3a|s3n)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type s3 must begin with s3://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'smtp' || !has(self.external) || !has(self.external.url) || self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(smtp|smtps|submission|submissions)([+:][a-z0-9+.:-]*)?://') || !self.external.url.matches('(?i)^([a-z0-9+.:-]*[+:])?(amqp|amqps|beanstalk|beanstalkd|couchdb|couchdbs|elasticsearch|http|https|librabbitmq|mariadb|memcache|memcached|memcacheds|mysql|mysql2|mysqls|opensearch|pg|pgsql|postgis|postgres|postgresql|psql|pyamqp|pylibmc|pymemcache|rabbitmq|redis|redis-cluster|redis-sentinel|redis-socket|rediss|rediss-cluster|rediss-sentinel|s3|s3a|s3n|sentinel|smtp|smtps|submission|submissions|trilogy|valkey|valkeys)([+:][a-z0-9+.:-]*)?://')",message="spec.external.url of type smtp must begin with smtp:// or smtps://, not with the scheme of another type"
// +kubebuilder:validation:XValidation:rule="!has(self.probe) || !has(self.probe.ask) || self.probe.ask != 'Vendor' || self.type in ['googlemaps', 'lastfm', 'newrelic', 'postmark', 'twitter']",message="spec.probe.ask: Vendor is for a type whose vendor can be asked about a token without a change at the vendor: googlemaps, lastfm, newrelic, postmark, twitter"
// +kubebuilder:validation:XValidation:rule="!has(self.seedFrom) || has(self.redis) || has(self.seedFrom.method) && self.seedFrom.method == 'Copy'",message="spec.seedFrom.method must be Copy, which stops the apps of the source while their data is copied: only a Redis that Bindery provisions (spec.redis) can follow another one"
// +kubebuilder:validation:XValidation:rule="!has(self.seedFrom) || self.type in ['mysql', 'postgresql', 'redis']",message="spec.seedFrom is for services of the types mysql, postgresql and redis: remove it, and move the data with the tools of the service"
// +kubebuilder:validation:XValidation:rule="!has(self.seedFrom) || !has(self.seedFrom.capacity) || has(self.seedFrom.method) && self.seedFrom.method == 'Copy'",message="spec.seedFrom.capacity is for the method Copy: remove it, because the memory and the storage of a Redis that Bindery provisions are known"
// +kubebuilder:validation:XValidation:rule="!has(self.retention) || has(self.redis) || has(self.collector)",message="retention is for services that Bindery provisions (redis, collector): remove it, because Bindery does not delete a service that it did not provision"
type BackingServiceSpec struct {
	// type is what the app speaks to the service, for example redis. It decides the usual variable (REDIS_URL) and the
	// schemes of the handle. Immutable.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.type is immutable: create a BackingService of the other type and set spec.serviceRef of the Binding to it"
	Type ServiceType `json:"type"`

	// redis provisions a Redis of one Pod in this namespace. Example: `redis: {storage: {size: 1Gi}}`.
	// +optional
	Redis *RedisSource `json:"redis,omitempty"`

	// collector provisions a collector in this namespace: an HTTP API that keeps in a Redis what it receives. Example:
	// `collector: {storeRef: {name: visits}}`.
	// +optional
	Collector *CollectorSource `json:"collector,omitempty"`

	// external is a service that somebody else runs. Example: `external: {secretRef: {name: rds, key: url}}`.
	// +optional
	External *ExternalSource `json:"external,omitempty"`

	// resourceRef names an object of this namespace that publishes its handle as a Provisioned Service of the Service
	// Binding Specification 1.1: the name of a Secret in its status.binding.name. Example:
	// `resourceRef: {apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, name: queue}`.
	// +optional
	ResourceRef *ResourceReference `json:"resourceRef,omitempty"`

	// probe says how the Job runs that tries the handle, and whether it asks the vendor of a token. Example:
	// `probe: {resources: {requests: {cpu: 200m}}}`.
	// +optional
	Probe *ProbeSpec `json:"probe,omitempty"`

	// deletionPolicy says what happens to the data volume, and to the Secrets that Bindery made for its handle, when the
	// BackingService is deleted. Retain keeps them: a BackingService of the same name finds its data again, and the password
	// that its volume or its apps remember, and apps that are attached can start their Pods meanwhile. Delete removes them. For a
	// Secret, the policy counts that was set when Bindery made the Secret.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// seedFrom names the service whose data this one gets, and keeps, when the Bindings of that service name this one. That
	// service keeps what it had. A Redis that Bindery provisions gets the data of another one without a pause: until all apps
	// are attached here, both handles lead to the data of that service. Other databases (mysql, postgresql, redis) get a copy
	// while the apps are stopped. Example: `seedFrom: {name: visits}`.
	// +optional
	SeedFrom *SeedFrom `json:"seedFrom,omitempty"`

	// retention says how long a service that Bindery provisions is kept when no app is attached to it any more. Absent =
	// for ever. Example: `retention: {deprovisionAfter: 72h}`.
	// +optional
	Retention *Retention `json:"retention,omitempty"`
}

// ProbeSpec says how the Job runs that tries the handle, and what it asks.
//
// +kubebuilder:validation:XValidation:rule="!has(self.endpoint) || has(self.ask) && self.ask == 'Vendor'",message="endpoint is where the vendor is asked: set ask to Vendor, or remove endpoint"
type ProbeSpec struct {
	// resources of the Job's container. A LimitRange of the namespace may ask for more than the default, or for less.
	// Default: what the installation says, or else requests and limits of 100m cpu and 64Mi memory, and a limit of 64Mi
	// ephemeral-storage. A default limit is raised to a request that is above it, and a default request lowered to a limit
	// that is below it.
	// +optional
	Resources *Resources `json:"resources,omitempty"`

	// mesh says whether the Job's Pod joins the service mesh of its namespace. Outside asks Istio, Linkerd, Consul and Kuma to
	// add no sidecar to it. Inside asks nothing of them: choose it where the service takes connections from within the mesh
	// only. Then the mesh's sidecar has to be one that ends with the Pod (a native sidecar), or the Job cannot be Complete.
	// Default: Outside.
	// +optional
	// +kubebuilder:default=Outside
	Mesh ProbeMesh `json:"mesh,omitempty"`

	// ask says whether the vendor of a token is asked if the token is good. Vendor sends the token to the vendor, out of the
	// cluster, with each trial, in one request that changes nothing there; only the types googlemaps, lastfm, newrelic,
	// postmark and twitter have such a request. A vendor that refuses the token makes Verified False. One that is busy, fails
	// or cannot be reached does not. With Nobody, only the form of the token is looked at.
	// Default: Nobody.
	// +optional
	// +kubebuilder:default=Nobody
	Ask ProbeAsk `json:"ask,omitempty"`

	// endpoint is where the vendor is asked, instead of at its usual address: in another region, or through a proxy of your
	// own. It is only for the question; the app gets what is in the handle. Example: https://collector.eu01.nr-data.net.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://([A-Za-z0-9_.-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?(/[A-Za-z0-9/_.~-]*)?$')",message="must be https://, a host, and perhaps a port and a path of letters, digits, '/', '-', '.', '_' and '~', with no user and no query, for example https://collector.eu01.nr-data.net"
	Endpoint string `json:"endpoint,omitempty"`
}

// ProbeAsk says who is asked about a token.
//
// +kubebuilder:validation:Enum=Nobody;Vendor
type ProbeAsk string

const (
	// AskNobody keeps the token in the cluster.
	AskNobody ProbeAsk = "Nobody"
	// AskVendor sends it to its vendor.
	AskVendor ProbeAsk = "Vendor"
)

// ProbeMesh says whether a Pod joins a service mesh.
//
// +kubebuilder:validation:Enum=Outside;Inside
type ProbeMesh string

const (
	// ProbeOutsideMesh asks the meshes to add no sidecar.
	ProbeOutsideMesh ProbeMesh = "Outside"
	// ProbeInsideMesh leaves it to the namespace.
	ProbeInsideMesh ProbeMesh = "Inside"
)

// Retention says how long an unused service is kept.
type Retention struct {
	// deprovisionAfter is how long after its last detachment the BackingService is deleted, and with it all that was
	// provisioned for it; deletionPolicy says which part of it stays. A service that was never attached is kept.
	// Attaching it again stops the clock. Example: 72h.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be between 1s and 8760h (a year), for example 72h"
	DeprovisionAfter metav1.Duration `json:"deprovisionAfter"`
}

// SeedFrom says where the data of a service comes from.
type SeedFrom struct {
	// name of the BackingService, in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	Name string `json:"name"`

	// method by which the data moves. Replicate: this service follows the source until the cut-over, so that no write is
	// lost and no app waits for longer than a moment; both are a Redis that Bindery provisions. Copy: the apps are scaled to
	// 0, the data is copied and compared, and the apps are attached here and scaled back; it is never done without being
	// asked for. Auto: Replicate. Default: Auto.
	// +optional
	// +kubebuilder:default=Auto
	Method SeedMethod `json:"method,omitempty"`

	// replaceData says whether data that this service has already may be replaced. Never: a service that has data is left as
	// it is, and says so. Always: it is lost. Set it where data is to move back to the service that it came from. It counts
	// only for a service that was edited since it was created: one that is created with it, from Git or from a backup, keeps
	// its data. Default: Never.
	// +optional
	// +kubebuilder:default=Never
	ReplaceData ReplaceData `json:"replaceData,omitempty"`

	// timeout for all data to arrive. Replicate: it counts from the first byte; after it, this service is Stalled, and goes on
	// to follow the source. Copy: it counts from the moment from which the apps are stopped; after it, the move is given up,
	// and the apps are started again with what they had. Default: 1h.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('168h')",message="must be between 10s and 168h (a week), for example 1h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// capacity is how much data this service can hold, for the method Copy: no client can ask a database for that. A source
	// whose data, with a tenth more, does not fit is refused before an app is stopped. Default: only what a client can ask is
	// checked (maxmemory of a Redis). Example: 20Gi.
	// +optional
	Capacity *resource.Quantity `json:"capacity,omitempty"`

	// resources of the container of each Job that moves the data. One of them is the relay through which apps are connected
	// until the cut-over. Default: requests of 100m cpu and 128Mi memory, and limits of 2 cpu, 256Mi memory and 64Mi
	// ephemeral-storage.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
}

// SeedMethod is how data moves from one service to another.
//
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Enum=Auto;Replicate;Copy
type SeedMethod string

const (
	// SeedAuto takes the best that the type has.
	SeedAuto SeedMethod = "Auto"
	// SeedReplicate has the service follow the source until the cut-over.
	SeedReplicate SeedMethod = "Replicate"
	// SeedCopy stops the apps, and copies what the source has.
	SeedCopy SeedMethod = "Copy"
)

// ReplaceData says whether data that a service has may be replaced by that of another one.
//
// +kubebuilder:validation:Enum=Never;Always
type ReplaceData string

const (
	// ReplaceDataNever keeps it.
	ReplaceDataNever ReplaceData = "Never"
	// ReplaceDataAlways replaces it.
	ReplaceDataAlways ReplaceData = "Always"
)

// DeletionPolicy says what happens to a service's data and handle.
//
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

const (
	// DeletionRetain keeps the data volume and the Secrets.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionDelete removes the data volume and the Secrets together with the service.
	DeletionDelete DeletionPolicy = "Delete"
)

// RedisSource provisions a Redis of one Pod.
//
// +kubebuilder:validation:XValidation:rule="has(self.storage) == has(oldSelf.storage)",message="storage cannot be added or removed later: create another BackingService and set spec.serviceRef of the Binding to it"
// +kubebuilder:validation:XValidation:rule="!has(self.image) || !has(self.version)",message="set image or version, not both: version picks the tag of the installation's own image"
// +kubebuilder:validation:XValidation:rule="!has(self.resources) || !has(self.resources.limits) || !('memory' in self.resources.limits) || !has(self.maxMemory) || quantity(string(self.resources.limits['memory'])).isGreaterThan(quantity(string(self.maxMemory)))",message="resources.limits.memory must be above maxMemory, or the kernel kills Redis before it evicts or refuses"
type RedisSource struct {
	// version of Redis, 7.0 or later, which becomes the tag of the installation's Redis image. Default: the installation's.
	// Example: "7.4".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]+([.][0-9]+){0,2}(-[a-z0-9.]+)?$')",message="must be a version of Redis, for example 7.4 or 7.4.2-alpine"
	Version string `json:"version,omitempty"`

	// image runs this image instead of the installation's. It must have redis-server (7.0 or later) and redis-cli on
	// its PATH. Example: registry.example.com/redis:7.4.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// storage keeps the data on a volume, written through an append-only file. Without it the Redis is a cache: it
	// starts empty and evicts the least recently used keys when it is full. With it nothing is evicted: a full Redis
	// refuses writes.
	// +optional
	Storage *Storage `json:"storage,omitempty"`

	// maxMemory is the most memory that Redis uses for data, and for what its clients have in flight, which is a quarter of
	// it at most. It takes one client for each 128Ki of it, and 10000 at most. Default: 128Mi.
	// +optional
	// +kubebuilder:default="128Mi"
	MaxMemory *resource.Quantity `json:"maxMemory,omitempty"`

	// resources of the Redis container. Default: requests of 50m cpu and maxMemory; a memory limit of twice maxMemory
	// plus 64Mi, because saving forks the process and copies the pages that change meanwhile; a limit of 512Mi
	// ephemeral-storage. A memory limit must be above maxMemory. A default limit is raised to a request that is above it.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
}

// Storage is a data volume.
type Storage struct {
	// size of the volume. Immutable. Example: 1Gi.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the size of a volume is immutable here: create another BackingService and set spec.serviceRef of the Binding to it"
	Size resource.Quantity `json:"size"`

	// storageClassName of the volume. Default: the cluster's default class. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="storageClassName is immutable: create another BackingService and set spec.serviceRef of the Binding to it"
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// Resources are the compute resources of a container.
type Resources struct {
	// requests of the container. Example: `{cpu: 100m, memory: 256Mi}`.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Requests map[string]resource.Quantity `json:"requests,omitempty"`

	// limits of the container. Example: `{memory: 512Mi}`.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Limits map[string]resource.Quantity `json:"limits,omitempty"`
}

// CollectorSource provisions a collector.
type CollectorSource struct {
	// replicas of the collector. Default: 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Replicas *int32 `json:"replicas,omitempty"`

	// storeRef names the BackingService of type redis, in this namespace, that the collector keeps its data in. The
	// collector is attached to it by a Binding of its own, so editing this line swaps the store. Example:
	// `{name: visits}`.
	// +required
	StoreRef LocalReference `json:"storeRef"`

	// image runs this image instead of the installation's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// resources of the collector container. Default: requests of 20m cpu and 32Mi memory, limits of 128Mi memory and 512Mi
	// ephemeral-storage. A default limit is raised to a request that is above it.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
}

// ExternalSource is a service that somebody else runs.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.url)",message="set exactly one of secretRef (a handle with credentials) and url (a handle without)"
type ExternalSource struct {
	// secretRef names the key of a Secret in this namespace that holds the handle. Bindery never reads it: the kubelet
	// does, when it starts the app's containers. To rotate the handle, create a Secret with another name and edit this
	// line. Example: `{name: rds, key: url}`.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// url is a handle without credentials: it has no user and no parameter that is a password, a token or a key, and it is not
	// the secret address of a webhook. Example: http://logs.example.com:4001.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('(?i)^(jdbc:([a-z0-9+.-]+:)?)?[a-z][a-z0-9+.-]*://[^/?#]+')",message="must be a URL with a scheme and a host, for example redis://cache.example.com:6379",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[^/?#]*://[^/?#]*@') && !self.matches('^[^/?#]*://[^/?#]*[?#][^/=]*@') && !self.matches('^[^/?#]*://[^/?#,]*:[^]/?#,@]*[^]0-9/?#,@][^]/?#,@]*/[^?#]*@') && !self.matches('(?i)[?&;#]([^?&;#=]*(password|passwd|passphrase|pwd|requirepass|masterauth|secret|secret[-_.]?id|token|jwt|authorization|credential|credentials|signature|session[-_.]?id|sessid|access[-_.]?key|account[-_.]?key|admin[-_.]?key|api[-_.]?key|app[-_.]?key|application[-_.]?key|auth[-_.]?key|encryption[-_.]?key|functions[-_.]?key|insert[-_.]?key|integration[-_.]?key|license[-_.]?key|master[-_.]?key|private[-_.]?key|sas[-_.]?key|secret[-_.]?key|security[-_.]?key|service[-_.]?key|session[-_.]?key|shared[-_.]?key|signing[-_.]?key|subscription[-_.]?key|user[-_.]?key|write[-_.]?key)|([^?&;#=]*([-_.+[]|%5b))?(pass|pw|sig|psk|cred|creds)|[^?&;#=]*(?-i:[a-z0-9](Pass|Pw|Sig|Psk|Cred|Creds))|(auth|oauth|bearer|key|sas))([]]|%5d)?(([[]|%5b)[^?&;#=]*)?=') && !self.matches('(?i)^[^/?#]*://(hooks[.]slack(-gov)?[.]com[.]?(:[0-9]*)?/+(services|workflows|triggers|commands)/+[^/?#]|([^/?#]+[.])?discord(app)?[.]com[.]?(:[0-9]*)?/+api/+(v[0-9]+/+)?webhooks/+[0-9]+/+[^/?#]|([^/?#]+[.])?loggly[.]com[.]?(:[0-9]*)?/+(inputs|bulk)/+[^/?#]|([^/?#]+[.])?webhook[.]office[.]com[.]?(:[0-9]*)?/+webhook[^/?#]*/+[^/?#]|outlook[.]office(365)?[.]com[.]?(:[0-9]*)?/+webhook/+[^/?#]|api[.]telegram[.]org[.]?(:[0-9]*)?/+(file/+)?bot[0-9]+(:|%3a)|([^/?#]+[.])?sumologic[.]com[.]?(:[0-9]*)?/+receiver/+v[0-9]+/+[^/?#]+/+[^/?#]|hooks[.]zapier[.]com[.]?(:[0-9]*)?/+hooks/+[^/?#]|maker[.]ifttt[.]com[.]?(:[0-9]*)?/+(use|[^?#]*with/+key)/+[^/?#]|hook[.]([^/?#]+[.])?(make|integromat)[.]com[.]?(:[0-9]*)?/+[^/?#]|(webexapis|api[.]ciscospark)[.]com[.]?(:[0-9]*)?/+v1/+webhooks/+incoming/+[^/?#]|events[.]([^/?#]+[.])?pagerduty[.]com[.]?(:[0-9]*)?/+(integration|x-ere)/+[^/?#]|([^/?#]+[.])?datadoghq[.](com|eu)[.]?(:[0-9]*)?/+v1/+input/+[^/?#]|([^/?#]+[.])?azurewebsites[.]net[.]?(:[0-9]*)?/+[^?#]*[?]([^#]*[&;])?code=|[^/?#:]+[.]?(:[0-9]*)?/+([^?#]*/)?hooks/+[a-z0-9]{26}([/?#]|$)|[^/?#:]+[.]?(:[0-9]*)?/+([^?#]*/)?hooks/+([a-z0-9]{17}|[a-z0-9]{24})/+[a-z0-9]{32})')",message="must not hold credentials: keep the whole URL in a Secret and name it with secretRef instead",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!self.matches('(?i)(^[^?#]*|[?&;#][^?&;#=]*)%(2d|2e|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])')",message="must not percent-encode letters, digits, '-', '.' and '_' in its path and in the names of its parameters, where the name of a credential would not be seen: write them as they are",reason=FieldValueForbidden
	URL string `json:"url,omitempty"`

	// caRef names the authority that the certificate of the service is of, where it is a private one: a key of a ConfigMap or
	// of a Secret in this namespace, with one or more certificates in PEM. The Job that tries the handle trusts this
	// authority and no other, as a client does whose handle names a file with it. The app gets it in a variable if its Binding
	// asks for the key ca.crt: `env: [{name: MYSQL_URL}, {name: MYSQL_CA, key: ca.crt}]`. To renew the authority, create an
	// object with another name and edit this line. Example: `{kind: ConfigMap, name: rds-ca, key: eu-central-1.pem}`.
	// +optional
	CARef *AuthorityReference `json:"caRef,omitempty"`
}

// AuthorityReference names one key of a ConfigMap or of a Secret in the same namespace.
type AuthorityReference struct {
	// kind of the object: ConfigMap or Secret. Default: ConfigMap.
	// +optional
	// +kubebuilder:default=ConfigMap
	Kind AuthorityKind `json:"kind,omitempty"`

	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key of the object that holds the certificates. Default: ca.crt.
	// +optional
	// +kubebuilder:default="ca.crt"
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a ConfigMap or a Secret: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
}

// AuthorityKind is the kind of an object that holds the certificates of an authority.
//
// +kubebuilder:validation:Enum=ConfigMap;Secret
type AuthorityKind string

const (
	// AuthorityConfigMap is for what everybody may know, as certificates are.
	AuthorityConfigMap AuthorityKind = "ConfigMap"
	// AuthoritySecret is for an authority that is in a Secret, next to what has to be kept secret.
	AuthoritySecret AuthorityKind = "Secret"
)

// SecretKeyReference names one key of a Secret in the same namespace, or several that make a handle together.
//
// +kubebuilder:validation:XValidation:rule="!has(self.compose) || !has(self.key) || self.key == 'uri'",message="set key (it holds the whole handle) or compose (it is built from several keys), not both"
// +kubebuilder:validation:XValidation:rule="has(self.compose) || !has(self.composeFor)",message="composeFor is about a handle that is composed: set compose, or remove it"
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key of the Secret that holds the handle. Default: uri.
	// +optional
	// +kubebuilder:default=uri
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a Secret: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`

	// compose builds the handle from several keys of the Secret, where none of them holds the whole: a URL in which $(KEY)
	// stands for the content of a key. The kubelet puts it in, so nothing is percent-encoded, and each key becomes a variable
	// of the app as well, whose name begins with BINDERY_. The Job that tries the handle refuses a key that would have to be
	// encoded, or that does not exist. Example: `mysql://$(username):$(password)@$(host):$(port)/shop`.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.split('$(').size() >= 2 && self.split('$(').size() <= 9",message="must name 1 to 8 keys of the Secret, each as $(KEY)",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9+.-]*(:[a-z0-9+.-]+)*://(([$][(][-._a-zA-Z0-9]+[)]|[A-Za-z0-9._~%-])*(:([$][(][-._a-zA-Z0-9]+[)])?)?@)?([$][(][-._a-zA-Z0-9]+[)]|[][A-Za-z0-9._:,-])+(/([$][(][-._a-zA-Z0-9]+[)]|[^$?#@[:space:]])*)?([?]([$][(][-._a-zA-Z0-9]+[)]|[^$?#@[:space:]])*)?$')",message="must be a URL of text and $(KEY), in which the password is a $(KEY), for example mysql://$(username):$(password)@$(host):$(port)/shop",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!self.matches('(?i)[?&;#]([^?&;#=]*(password|passwd|passphrase|pwd|requirepass|masterauth|secret|secret[-_.]?id|token|jwt|authorization|credential|credentials|signature|session[-_.]?id|sessid|access[-_.]?key|account[-_.]?key|admin[-_.]?key|api[-_.]?key|app[-_.]?key|application[-_.]?key|auth[-_.]?key|encryption[-_.]?key|functions[-_.]?key|insert[-_.]?key|integration[-_.]?key|license[-_.]?key|master[-_.]?key|private[-_.]?key|sas[-_.]?key|secret[-_.]?key|security[-_.]?key|service[-_.]?key|session[-_.]?key|shared[-_.]?key|signing[-_.]?key|subscription[-_.]?key|user[-_.]?key|write[-_.]?key)|([^?&;#=]*([-_.+[]|%5b))?(pass|pw|sig|psk|cred|creds)|[^?&;#=]*(?-i:[a-z0-9](Pass|Pw|Sig|Psk|Cred|Creds))|(auth|oauth|bearer|key|sas))([]]|%5d)?(([[]|%5b)[^?&;#=]*)?=[^$&;#]')",message="must not hold credentials: keep them in keys of the Secret, and name those with $(KEY)",reason=FieldValueForbidden
	Compose string `json:"compose,omitempty"`

	// composeFor says who gets the handle that is composed. App: the apps, and the Job that tries it. Probe: only the Job, which
	// percent-encodes the keys, so that they may have any character; apps get the keys, each in a variable of its own, by
	// spec.envPreset or spec.env of their Bindings. Default: App.
	// +optional
	ComposeFor ComposeFor `json:"composeFor,omitempty"`
}

// ComposeFor says who gets a handle that is composed.
//
// +kubebuilder:validation:Enum=App;Probe
type ComposeFor string

const (
	// ComposeForApp has the kubelet compose the handle, for apps and for the Job that tries it.
	ComposeForApp ComposeFor = "App"
	// ComposeForProbe has the Job compose it, for itself.
	ComposeForProbe ComposeFor = "Probe"
)

// ResourceReference names an object in the same namespace.
//
// +kubebuilder:validation:XValidation:rule="!self.apiVersion.startsWith('bindery.dev/')",message="a BackingService cannot stand for another one: set spec.serviceRef of the Binding to that one"
// +kubebuilder:validation:XValidation:rule="self.apiVersion != 'v1' || self.kind != 'Secret'",message="name a Secret with spec.external.secretRef instead"
type ResourceReference struct {
	// apiVersion of the object. Example: rabbitmq.com/v1beta1.
	// +required
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$')",message="must be group/version, for example rabbitmq.com/v1beta1"
	APIVersion string `json:"apiVersion"`

	// kind of the object. Example: RabbitmqCluster.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z][A-Za-z0-9]*$')",message="must be a kind, for example RabbitmqCluster"
	Kind string `json:"kind"`

	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// LocalReference names an object of a known kind in the same namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// BackingServiceStatus is what Bindery observed. No credential is ever in it.
type BackingServiceStatus struct {
	// observedGeneration is the generation of the spec that the rest of status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, Provisioned (of a provisioned service), Seeded (of one with spec.seedFrom), Verified and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// handle locates the service: one key of a Secret.
	// +optional
	Handle *Handle `json:"handle,omitempty"`

	// binding makes the BackingService a Provisioned Service of the Service Binding Specification 1.1.
	// +optional
	Binding *LocalReference `json:"binding,omitempty"`

	// endpoint is the host and the port of the service, where Bindery knows them. Example: bindery-visits.shop.svc:6379.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Endpoint string `json:"endpoint,omitempty"`

	// reserved are the names of Secrets that are about to be made for the handle, the newest first. A name is written down
	// before the Secret is made, so that no Secret is ever forgotten. Absent = the handle needs no new Secret.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Reserved []string `json:"reserved,omitempty"`

	// verification is the last trial of the handle. The condition Verified says its result.
	// +optional
	Verification *Verification `json:"verification,omitempty"`

	// probePlacement is where the probe runs in the Pods of the next Jobs. InitContainer: the Pod of an earlier Job did not end
	// with the probe, as it happens where something adds a container to it that does not end. Absent = Container.
	// +optional
	ProbePlacement ProbePlacement `json:"probePlacement,omitempty"`

	// move is how far the data of spec.seedFrom has come. The condition Seeded says what it waits for.
	// +optional
	Move *Move `json:"move,omitempty"`

	// revisions are the Secrets of earlier handles that Bindery made and has kept, because a Pod template of the history
	// of a workload may name them. The newest first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Revisions []string `json:"revisions,omitempty"`

	// detachedAt is when the last app was detached. Absent = one is attached, or none ever was.
	// +optional
	DetachedAt *metav1.Time `json:"detachedAt,omitempty"`

	// deprovisionAt is when the service is deleted because of spec.retention. Absent = never.
	// +optional
	DeprovisionAt *metav1.Time `json:"deprovisionAt,omitempty"`

	// attachmentCount is how many Bindings have put this service's handle into a workload. It is present when it is 0 too.
	// +optional
	AttachmentCount int32 `json:"attachmentCount"`

	// attachments are the first 100 of them, by name.
	// +optional
	// +listType=map
	// +listMapKey=binding
	// +kubebuilder:validation:MaxItems=100
	Attachments []ServiceAttachment `json:"attachments,omitempty"`
}

// Handle is a revision of what locates a service and carries its credentials. A changed handle is a new revision: in
// another Secret, under another key, composed in another way, with another authority, or with another content of a Secret that
// is followed.
type Handle struct {
	// secretName is the Secret, in the same namespace.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// key of the Secret that holds the handle. Empty = it is composed of several.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`

	// revision counts the handles that the service has had, from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision"`

	// keys that the Secret has, where Bindery knows them: those of a Secret that it made itself. Absent = not known,
	// because Bindery never reads a Secret.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Keys []string `json:"keys,omitempty"`

	// compose is the handle, with $(KEY) for the content of a key of the Secret. Absent = one key holds the whole handle.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Compose string `json:"compose,omitempty"`

	// composeFor is Probe where only the Job that tries it gets the handle that is composed. Absent = apps do too.
	// +optional
	ComposeFor ComposeFor `json:"composeFor,omitempty"`

	// authority is what the certificate of the service is checked with. Absent = what the client trusts by itself.
	// +optional
	Authority *AuthorityReference `json:"authority,omitempty"`

	// followed are the Secrets of the handle that have the label bindery.dev/follow, where the operator may follow their
	// changes. Absent = it follows none.
	// +optional
	// +listType=map
	// +listMapKey=secretName
	// +kubebuilder:validation:MaxItems=2
	Followed []FollowedSecret `json:"followed,omitempty"`

	// content identifies what the followed Secrets hold since they were last changed. It has nothing of what they hold. Another
	// content is another revision of the handle. Absent = no change was seen since Bindery follows them.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Content string `json:"content,omitempty"`
}

// FollowedSecret is what was last seen of a Secret that Bindery follows.
type FollowedSecret struct {
	// secretName is the Secret, in the same namespace.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// written is a digest of when the content was last written, and of the names of its keys. It has nothing of the content.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Written string `json:"written"`
}

// Verification is a trial of a handle.
type Verification struct {
	// secretName and key are the handle that is tried.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
	// +required
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`

	// revision of the handle that is tried. Absent: an earlier version of Bindery has tried it.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// attempt counts the trials of this handle since it last passed, from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Attempt int32 `json:"attempt"`

	// job tries the handle, in the namespace of the service. Bindery believes only this Job.
	// +optional
	Job *JobReference `json:"job,omitempty"`

	// asked is who was asked about a token in the last trial. Absent = nobody.
	// +optional
	Asked ProbeAsk `json:"asked,omitempty"`

	// requested is the value of the annotation bindery.dev/verify-requested-at that this trial, or an earlier one, was started
	// with; of a longer value, its SHA-256. Another value starts another trial. Absent = nobody has asked.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Requested string `json:"requested,omitempty"`

	// startedAt is when the last trial began.
	// +optional
	StartedAt metav1.Time `json:"startedAt,omitempty"`

	// endedAt is when it ended. Absent = it has not.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`

	// passedAt is when this handle last passed. Absent = it never did. An app is moved to the service only while that is less
	// than a minute ago: else the handle is tried again first.
	// +optional
	PassedAt *metav1.Time `json:"passedAt,omitempty"`
}

// Move is the data of one service on its way to another one.
type Move struct {
	// id of the move: no other move has it, also not a later one between the same two services.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// source is the service that the data comes from.
	// +required
	// +kubebuilder:validation:MaxLength=50
	Source string `json:"source"`

	// sourceUID is the UID of that service. Another one of the same name is the source of another move.
	// +required
	// +kubebuilder:validation:MaxLength=64
	SourceUID string `json:"sourceUID"`

	// step of the move. Seeding: the data is on its way, and no app is attached here. Attaching: apps are attached, and their
	// data is still written at the source. CuttingOver: all are attached, and from one moment to the next the data is written
	// here. Of a copy: Checking: whether the data can be copied, and whether all apps are to move, is found out, and no app was
	// touched. Stopping: the apps are scaled to 0. Copying: the data is copied and compared. GivenUp: it could not be, and the
	// apps are as they were. Done: it is written here.
	// +required
	Step MoveStep `json:"step"`

	// since is when the step began.
	// +required
	Since metav1.Time `json:"since"`

	// percent of the data that is here, in steps of ten; an estimate. Absent = not known.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`

	// job makes the step, or made it last. Bindery believes only this Job.
	// +optional
	Job *JobReference `json:"job,omitempty"`

	// attempt counts the Jobs of this step that could not make it, from 1.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`

	// endedAt is when the job ended. Absent = it has not.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`

	// observedGeneration of the spec that a copy was last tried with. One that was given up is tried again with another spec.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// MoveStep is one of a move.
//
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Enum=Seeding;Attaching;CuttingOver;Checking;Stopping;Copying;GivenUp;Done
type MoveStep string

// The steps, in their order.
const (
	MoveSeeding     MoveStep = "Seeding"
	MoveAttaching   MoveStep = "Attaching"
	MoveCuttingOver MoveStep = "CuttingOver"
	MoveDone        MoveStep = "Done"
)

// The steps of a copy before it is Done.
const (
	MoveChecking MoveStep = "Checking"
	MoveStopping MoveStep = "Stopping"
	MoveCopying  MoveStep = "Copying"
	MoveGivenUp  MoveStep = "GivenUp"
)

// ProbePlacement is where in its Pod a probe runs.
//
// +kubebuilder:validation:Enum=Container;InitContainer
type ProbePlacement string

const (
	// ProbeContainer has the probe as the Pod's container.
	ProbeContainer ProbePlacement = "Container"
	// ProbeInitContainer has the probe end before any other container of the Pod begins.
	ProbeInitContainer ProbePlacement = "InitContainer"
)

// JobReference names one Job object.
type JobReference struct {
	// name of the Job.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// uid of the Job. Another Job of this name is not the same.
	// +required
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid"`
}

// ServiceAttachment is a use of the service.
type ServiceAttachment struct {
	// binding that attaches the service.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Binding string `json:"binding"`

	// workload that is attached. Example: Deployment/pinger.
	// +required
	// +kubebuilder:validation:MaxLength=320
	Workload string `json:"workload"`

	// env are the variables that carry the handle. Example: [REDIS_URL].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	Env []string `json:"env,omitempty"`
}
