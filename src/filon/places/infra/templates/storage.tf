resource "aws_s3_bucket" "filon" {
  count  = var.create_bucket ? 1 : 0
  bucket = var.bucket
  tags   = local.tags
}

resource "aws_s3_bucket_versioning" "filon" {
  count  = var.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.filon[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "filon" {
  count  = var.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.filon[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "filon" {
  count                   = var.create_bucket ? 1 : 0
  bucket                  = aws_s3_bucket.filon[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "filon" {
  count  = var.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.filon[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "filon" {
  count      = var.create_bucket ? 1 : 0
  bucket     = aws_s3_bucket.filon[0].id
  policy     = templatefile("${path.module}/policies/bucket.json", local.scope)
  depends_on = [aws_s3_bucket_public_access_block.filon]
}

resource "aws_s3_bucket_lifecycle_configuration" "filon" {
  count      = var.create_bucket ? 1 : 0
  bucket     = aws_s3_bucket.filon[0].id
  depends_on = [aws_s3_bucket_versioning.filon]

  rule {
    id     = "logs"
    status = "Enabled"
    filter {
      prefix = "${local.scope.prefix}logs/"
    }
    expiration {
      days = var.log_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {
      prefix = local.scope.prefix
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
  }
}

resource "aws_s3_object" "bootstrap" {
  bucket      = var.create_bucket ? aws_s3_bucket.filon[0].id : var.bucket
  key         = "${local.scope.prefix}infrastructure/bootstrap.sh"
  source      = "${path.module}/bootstrap.sh"
  source_hash = filemd5("${path.module}/bootstrap.sh")
  # put before versions are kept it has none to delete by, and its marker would hold the bucket when everything is taken down
  depends_on = [aws_s3_bucket_versioning.filon]
}
