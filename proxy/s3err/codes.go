package s3err

// The errors that S3 documents and s3proxy can answer with, in S3's own words
// (what S3 sends where that differs from its documentation). Each is a template;
// see Error.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList

// Errors of authentication and signatures.
var (
	AccessDenied                      = &Error{Code: "AccessDenied", Status: 403, Message: "Access Denied"}
	AccessForbidden                   = &Error{Code: "AccessForbidden", Status: 403, Message: "Access Forbidden"}
	AccountProblem                    = &Error{Code: "AccountProblem", Status: 403, Message: "There is a problem with your AWS account that prevents the operation from completing successfully."}
	AllAccessDisabled                 = &Error{Code: "AllAccessDisabled", Status: 403, Message: "All access to this Amazon S3 resource has been disabled."}
	AuthorizationHeaderMalformed      = &Error{Code: "AuthorizationHeaderMalformed", Status: 400, Message: "The authorization header is malformed."}
	AuthorizationQueryParametersError = &Error{Code: "AuthorizationQueryParametersError", Status: 400, Message: "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."}
	CredentialsNotSupported           = &Error{Code: "CredentialsNotSupported", Status: 400, Message: "This request does not support credentials."}
	ExpiredToken                      = &Error{Code: "ExpiredToken", Status: 400, Message: "The provided token has expired."}
	InvalidAccessKeyId                = &Error{Code: "InvalidAccessKeyId", Status: 403, Message: "The AWS Access Key Id you provided does not exist in our records."}
	InvalidSecurity                   = &Error{Code: "InvalidSecurity", Status: 403, Message: "The provided security credentials are not valid."}
	InvalidToken                      = &Error{Code: "InvalidToken", Status: 400, Message: "The provided token is malformed or otherwise invalid."}
	MissingSecurityHeader             = &Error{Code: "MissingSecurityHeader", Status: 400, Message: "Your request was missing a required header"}
	NotSignedUp                       = &Error{Code: "NotSignedUp", Status: 403, Message: "Your account is not signed up for the Amazon S3 service."}
	RequestTimeTooSkewed              = &Error{Code: "RequestTimeTooSkewed", Status: 403, Message: "The difference between the request time and the current time is too large."}
	SignatureDoesNotMatch             = &Error{Code: "SignatureDoesNotMatch", Status: 403, Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
)

// Errors of request bodies.
var (
	BadDigest                         = &Error{Code: "BadDigest", Status: 400, Message: "The Content-MD5 you specified did not match what we received."}
	EntityTooLarge                    = &Error{Code: "EntityTooLarge", Status: 400, Message: "Your proposed upload exceeds the maximum allowed object size."}
	EntityTooSmall                    = &Error{Code: "EntityTooSmall", Status: 400, Message: "Your proposed upload is smaller than the minimum allowed size"}
	IncompleteBody                    = &Error{Code: "IncompleteBody", Status: 400, Message: "The request body terminated unexpectedly"}
	InvalidChunkSizeError             = &Error{Code: "InvalidChunkSizeError", Status: 400, Message: "Only the last chunk is allowed to have a size less than 8192 bytes"}
	InvalidDigest                     = &Error{Code: "InvalidDigest", Status: 400, Message: "The Content-Md5 you specified is not valid."}
	MalformedTrailerError             = &Error{Code: "MalformedTrailerError", Status: 400, Message: "The request contained trailing data that was not well-formed or did not conform to our published schema."}
	MaxPostPreDataLengthExceededError = &Error{Code: "MaxPostPreDataLengthExceededError", Status: 400, Message: "Your POST request fields preceding the upload file were too large."}
	MaxMessageLengthExceeded          = &Error{Code: "MaxMessageLengthExceeded", Status: 400, Message: "Your request was too big."}
	MissingContentLength              = &Error{Code: "MissingContentLength", Status: 411, Message: "You must provide the Content-Length HTTP header."}
	MissingRequestBodyError           = &Error{Code: "MissingRequestBodyError", Status: 400, Message: "Request Body is empty"}
	RequestTimeout                    = &Error{Code: "RequestTimeout", Status: 400, Message: "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."}
	UnexpectedContent                 = &Error{Code: "UnexpectedContent", Status: 400, Message: "This request does not support content."}
	XAmzContentSHA256Mismatch         = &Error{Code: "XAmzContentSHA256Mismatch", Status: 400, Message: "The provided 'x-amz-content-sha256' header does not match what was computed."}
)

// Errors of the request itself.
var (
	AccessControlListNotSupported   = &Error{Code: "AccessControlListNotSupported", Status: 400, Message: "The bucket does not allow ACLs"}
	BadRequest                      = &Error{Code: "BadRequest", Status: 400, Message: "Bad Request"}
	InvalidArgument                 = &Error{Code: "InvalidArgument", Status: 400, Message: "Invalid Argument"}
	InvalidEncryptionAlgorithmError = &Error{Code: "InvalidEncryptionAlgorithmError", Status: 400, Message: "The encryption request you specified is not valid. The valid value is AES256."}
	InvalidPolicyDocument           = &Error{Code: "InvalidPolicyDocument", Status: 400, Message: "The content of the form does not meet the conditions specified in the policy document."}
	InvalidRange                    = &Error{Code: "InvalidRange", Status: 416, Message: "The requested range is not satisfiable"}
	InvalidRedirectLocation         = &Error{Code: "InvalidRedirectLocation", Status: 400, Message: "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."}
	InvalidRequest                  = &Error{Code: "InvalidRequest", Status: 400, Message: "Invalid Request"}
	InvalidStorageClass             = &Error{Code: "InvalidStorageClass", Status: 400, Message: "The storage class you specified is not valid"}
	InvalidTag                      = &Error{Code: "InvalidTag", Status: 400, Message: "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."}
	InvalidURI                      = &Error{Code: "InvalidURI", Status: 400, Message: "Couldn't parse the specified URI."}
	KeyTooLongError                 = &Error{Code: "KeyTooLongError", Status: 400, Message: "Your key is too long"}
	MalformedACLError               = &Error{Code: "MalformedACLError", Status: 400, Message: "The XML you provided was not well-formed or did not validate against our published schema."}
	MalformedPOSTRequest            = &Error{Code: "MalformedPOSTRequest", Status: 400, Message: "The body of your POST request is not well-formed multipart/form-data."}
	MalformedXML                    = &Error{Code: "MalformedXML", Status: 400, Message: "The XML you provided was not well-formed or did not validate against our published schema."}
	MetadataTooLarge                = &Error{Code: "MetadataTooLarge", Status: 400, Message: "Your metadata headers exceed the maximum allowed metadata size"}
	MethodNotAllowed                = &Error{Code: "MethodNotAllowed", Status: 405, Message: "The specified method is not allowed against this resource."}
	NotImplemented                  = &Error{Code: "NotImplemented", Status: 501, Message: "A header you provided implies functionality that is not implemented."}
	RequestHeaderSectionTooLarge    = &Error{Code: "RequestHeaderSectionTooLarge", Status: 400, Message: "Your request header section exceeds the maximum allowed size."}
	UserKeyMustBeSpecified          = &Error{Code: "UserKeyMustBeSpecified", Status: 400, Message: "The bucket POST must contain the specified field name. If it is specified, check the order of the fields."}
)

// Errors of buckets, keys, versions and uploads.
var (
	BucketAlreadyExists                  = &Error{Code: "BucketAlreadyExists", Status: 409, Message: "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	BucketAlreadyOwnedByYou              = &Error{Code: "BucketAlreadyOwnedByYou", Status: 409, Message: "Your previous request to create the named bucket succeeded and you already own it."}
	BucketNotEmpty                       = &Error{Code: "BucketNotEmpty", Status: 409, Message: "The bucket you tried to delete is not empty"}
	ConditionalRequestConflict           = &Error{Code: "ConditionalRequestConflict", Status: 409, Message: "The conditional request cannot succeed due to a conflicting operation against this resource."}
	IllegalLocationConstraintException   = &Error{Code: "IllegalLocationConstraintException", Status: 400, Message: "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."}
	InvalidBucketName                    = &Error{Code: "InvalidBucketName", Status: 400, Message: "The specified bucket is not valid."}
	InvalidBucketState                   = &Error{Code: "InvalidBucketState", Status: 409, Message: "The request is not valid with the current state of the bucket."}
	InvalidLocationConstraint            = &Error{Code: "InvalidLocationConstraint", Status: 400, Message: "The specified location-constraint is not valid"}
	InvalidObjectState                   = &Error{Code: "InvalidObjectState", Status: 403, Message: "The operation is not valid for the object's storage class"}
	InvalidPart                          = &Error{Code: "InvalidPart", Status: 400, Message: "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	InvalidPartNumber                    = &Error{Code: "InvalidPartNumber", Status: 416, Message: "The requested partnumber is not satisfiable."}
	InvalidPartOrder                     = &Error{Code: "InvalidPartOrder", Status: 400, Message: "The list of parts was not in ascending order. Parts must be ordered by part number."}
	NoSuchBucket                         = &Error{Code: "NoSuchBucket", Status: 404, Message: "The specified bucket does not exist"}
	NoSuchCORSConfiguration              = &Error{Code: "NoSuchCORSConfiguration", Status: 404, Message: "The CORS configuration does not exist"}
	NoSuchKey                            = &Error{Code: "NoSuchKey", Status: 404, Message: "The specified key does not exist."}
	NoSuchUpload                         = &Error{Code: "NoSuchUpload", Status: 404, Message: "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	NoSuchVersion                        = &Error{Code: "NoSuchVersion", Status: 404, Message: "The specified version does not exist."}
	NotModified                          = &Error{Code: "NotModified", Status: 304, Message: "Not Modified"}
	ObjectLockConfigurationNotFoundError = &Error{Code: "ObjectLockConfigurationNotFoundError", Status: 404, Message: "Object Lock configuration does not exist for this bucket"}
	NoSuchTagSet                         = &Error{Code: "NoSuchTagSet", Status: 404, Message: "The TagSet does not exist"}
	OperationAborted                     = &Error{Code: "OperationAborted", Status: 409, Message: "A conflicting conditional operation is currently in progress against this resource. Please try again."}
	PermanentRedirect                    = &Error{Code: "PermanentRedirect", Status: 301, Message: "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."}
	PreconditionFailed                   = &Error{Code: "PreconditionFailed", Status: 412, Message: "At least one of the pre-conditions you specified did not hold."}
	TooManyBuckets                       = &Error{Code: "TooManyBuckets", Status: 400, Message: "You have attempted to create more buckets than allowed"}
)

// Errors of the server's side.
var (
	InternalError      = &Error{Code: "InternalError", Status: 500, Message: "We encountered an internal error. Please try again."}
	ServiceUnavailable = &Error{Code: "ServiceUnavailable", Status: 503, Message: "Service is unable to handle request."}
	SlowDown           = &Error{Code: "SlowDown", Status: 503, Message: "Please reduce your request rate."}
)
