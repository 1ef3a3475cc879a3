terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "here" {}

data "aws_partition" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  aws     = data.aws_partition.here.partition
  tags    = merge(var.tags, { "filon-project" = var.name, "filon-made-by" = "filon infra" })

  # what the policies in policies/ speak of
  scope = {
    partition = local.aws
    region    = var.region
    account   = local.account
    bucket    = var.bucket
    prefix    = var.prefix == "" ? "" : "${var.prefix}/"
    project   = var.name
    topic     = "${replace(var.name, ".", "-")}-budget" # SNS takes no dots, recipes do
  }
}
