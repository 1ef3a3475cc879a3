"""What a project needs in an AWS account, as Terraform: written for a recipe, planned, made and taken down."""
