package bucket

// Cause classifies a failure, so that callers can look up a remedy: they know where the options came from, and this
// package does not.
type Cause string

// Why a request to the store failed.
const (
	NoSuchBucket        Cause = "no such bucket"
	OtherRegion         Cause = "bucket in another region" // see [Error.Region]
	UnknownRegion       Cause = "bucket in an unknown region"
	BadCredentials      Cause = "credentials refused"
	ClockSkew           Cause = "clock skew"
	KeyUnusable         Cause = "encryption key unusable"
	UnknownStorageClass Cause = "unknown storage class"
	ObjectTooLarge      Cause = "object too large"
	TooManyParts        Cause = "object in too many parts" // because it is much larger than [Info.SizeEstimate]
	StoreFull           Cause = "store full"
	ObjectExists        Cause = "object exists"
	ObjectReplaced      Cause = "object replaced while it was read"
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
	UntrustedJob         Cause = "role does not trust the job" // see [Error.Audience]
	NoIdentityProvider   Cause = "no identity provider"        // see [Error.Audience]
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
	"InvalidAccessKeyId":                 BadCredentials,
	"SignatureDoesNotMatch":              BadCredentials,
	"ExpiredToken":                       BadCredentials,
	"InvalidToken":                       BadCredentials,
	"RequestTimeTooSkewed":               ClockSkew,
	"KMS.DisabledException":              KeyUnusable,
	"KMS.NotFoundException":              KeyUnusable,
	"KMS.KMSInvalidStateException":       KeyUnusable,
	"InvalidStorageClass":                UnknownStorageClass,
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
	"ValidationError":         InvalidRoleSession,
	"InvalidParameterValue":   InvalidRoleSession,
	"RegionDisabledException": TokenServiceInactive,
}
