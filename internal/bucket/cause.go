package bucket

import (
	"net/http"
	"slices"
	"strings"
)

// Cause classifies a failure, so that callers can look up a remedy: they know where the options came from, and this
// package does not.
type Cause string

// Why a request to the store failed.
const (
	NoSuchBucket        Cause = "no such bucket"
	OtherRegion         Cause = "bucket in another region" // see [Error.Region]
	UnknownRegion       Cause = "bucket in an unknown region"
	UnknownAccessKey    Cause = "unknown access key"
	WrongSecretKey      Cause = "wrong secret key"
	SessionEnded        Cause = "session ended"
	WrongSessionToken   Cause = "wrong session token"
	ClockSkew           Cause = "clock skew"
	KeyUnusable         Cause = "encryption key unusable"
	UnknownStorageClass Cause = "unknown storage class"
	NoEncryption        Cause = "no encryption with keys"
	NoObjectLock        Cause = "no Object Lock"
	Unsupported         Cause = "request not supported"
	ObjectTooLarge      Cause = "object too large"
	TooManyParts        Cause = "object in too many parts" // because it is much larger than [Info.SizeEstimate]
	StoreFull           Cause = "store full"
	ObjectExists        Cause = "object exists"
	ObjectReplaced      Cause = "object replaced while it was read"
	ObjectDamaged       Cause = "object damaged"           // in the store, or on its way from there
	ObjectDiffers       Cause = "object not what was sent" // though the store took it
	ObjectOverwritten   Cause = "object overwritten by another"
	NoRanges            Cause = "reading a part not supported"
	ObjectArchived      Cause = "object in an archive" // from which the store has to restore it first
	KeyDenied           Cause = "permission for the encryption key missing"
	Denied              Cause = "permission missing" // see [Error.Permission]
	ServerError         Cause = "server error"
	UnknownAuthority    Cause = "certificate of an unknown authority"
	Unreachable         Cause = "unreachable"
	ExposedEndpoint     Cause = "endpoint without encryption" // on a public host
)

// Why there are no credentials, or no region to use them in.
const (
	NoCredentials        Cause = "no credentials"
	NoSuchProfile        Cause = "no such AWS profile"
	BadConfiguration     Cause = "AWS configuration unusable"
	SourceFailed         Cause = "source of credentials failed" // one that AWS's variables and files name
	UntrustedJob         Cause = "role does not trust the job"  // see [Error.Audience]
	NoIdentityProvider   Cause = "no identity provider"         // see [Error.Audience]
	TokenExpired         Cause = "identity token expired"
	InvalidRoleSession   Cause = "invalid role session"
	TokenServiceInactive Cause = "token service inactive in the region"
	NoRegion             Cause = "no region"
)

// causes are those of the codes of AWS, MinIO and other stores.
var causes = map[string]Cause{
	"NoSuchBucket":                       NoSuchBucket,
	"PermanentRedirect":                  UnknownRegion,
	"AuthorizationHeaderMalformed":       UnknownRegion,
	"IllegalLocationConstraintException": UnknownRegion,
	"InvalidAccessKeyId":                 UnknownAccessKey,
	"InvalidClientTokenId":               UnknownAccessKey,
	"InvalidTokenId":                     UnknownAccessKey,
	"UnrecognizedClientException":        UnknownAccessKey,
	"SignatureDoesNotMatch":              WrongSecretKey,
	"ExpiredToken":                       SessionEnded,
	"ExpiredTokenException":              SessionEnded,
	"TokenRefreshRequired":               SessionEnded,
	"RequestExpired":                     ClockSkew,
	"InvalidToken":                       WrongSessionToken,
	"RequestTimeTooSkewed":               ClockSkew,
	"KMS.DisabledException":              KeyUnusable,
	"KMS.NotFoundException":              KeyUnusable,
	"KMS.KMSInvalidStateException":       KeyUnusable,
	"InvalidStorageClass":                UnknownStorageClass,
	"KMSNotConfigured":                   NoEncryption,
	"InvalidObjectState":                 ObjectArchived,
	"EntityTooLarge":                     ObjectTooLarge,
	"QuotaExceeded":                      StoreFull,
	"XMinioStorageFull":                  StoreFull,
	"InsufficientStorage":                StoreFull,
	"PreconditionFailed":                 ObjectExists,
}

// roleCauses are those of the token service's codes.
var roleCauses = map[string]Cause{
	"AccessDenied":            UntrustedJob,
	"InvalidIdentityToken":    NoIdentityProvider,
	"ExpiredTokenException":   TokenExpired,
	"IDPRejectedClaim":        UntrustedJob,
	"IDPCommunicationError":   ServerError,
	"ValidationError":         InvalidRoleSession,
	"InvalidParameterValue":   InvalidRoleSession,
	"RegionDisabledException": TokenServiceInactive,
}

// optional is what a store may not support, by the words for it in an answer, in lower case and without blanks and
// hyphens, as stores write them in several ways.
var optional = []struct {
	cause Cause
	set   func(o Options) bool
	words []string
}{
	{NoEncryption, func(o Options) bool { return o.KMSKeyID != "" }, []string{"kms", "encryption"}},
	{UnknownStorageClass, func(o Options) bool { return o.StorageClass != "" }, []string{"storageclass"}},
	{NoObjectLock, func(o Options) bool { return o.ObjectLockDays > 0 },
		[]string{"objectlock", "retention", "retainuntil"}},
}

// unsupported tells which option a store refuses that does not know it: 501, or 400 without a code of its own. It is ""
// for anything else.
func (e *Error) unsupported(o Options) Cause {
	if e.Status != http.StatusNotImplemented && (e.Status != http.StatusBadRequest || causes[e.Code] != "") {
		return ""
	}
	said := strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(e.Code + " " + e.Message))
	var set []Cause
	for _, option := range optional {
		if !option.set(o) {
			continue
		}
		set = append(set, option.cause)
		if slices.ContainsFunc(option.words, func(word string) bool { return strings.Contains(said, word) }) {
			return option.cause
		}
	}
	switch {
	case e.Status != http.StatusNotImplemented:
		return ""
	case len(set) == 1:
		return set[0]
	}
	return Unsupported
}
