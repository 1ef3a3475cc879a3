# A network of its own, with no way in and S3 by its own door; or, with `subnet`, the one that exists.

data "aws_subnet" "given" {
  count = var.subnet == "" ? 0 : 1
  id    = var.subnet
}

# its routes: those of its own table, else of the network's main one
data "aws_route_tables" "given" {
  for_each = var.subnet == "" ? {} : { "association.subnet-id" = var.subnet, "association.main" = "true" }
  vpc_id   = data.aws_subnet.given[0].vpc_id
  filter {
    name   = each.key
    values = [each.value]
  }
}

data "aws_route_table" "given" {
  count = var.subnet == "" ? 0 : 1
  route_table_id = concat(
    data.aws_route_tables.given["association.subnet-id"].ids,
    data.aws_route_tables.given["association.main"].ids,
  )[0]
}

data "aws_availability_zones" "here" {
  count = var.subnet == "" ? 1 : 0
  state = "available"
}

locals {
  subnet = var.subnet == "" ? aws_subnet.filon[0].id : var.subnet
  vpc    = var.subnet == "" ? aws_vpc.filon[0].id : data.aws_subnet.given[0].vpc_id

  # a subnet without a way in: EMR reaches its nodes by an interface of its own, which takes a security group
  private = var.subnet == "" ? false : !anytrue([for one in data.aws_route_table.given[0].routes : try(startswith(one.gateway_id, "igw-"), false)])
}

resource "aws_vpc" "filon" {
  count                = var.subnet == "" ? 1 : 0
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(local.tags, { Name = var.name })
}

resource "aws_internet_gateway" "filon" {
  count  = var.subnet == "" ? 1 : 0
  vpc_id = aws_vpc.filon[0].id
  tags   = merge(local.tags, { Name = var.name })
}

resource "aws_subnet" "filon" {
  count                   = var.subnet == "" ? 1 : 0
  vpc_id                  = aws_vpc.filon[0].id
  cidr_block              = cidrsubnet(var.vpc_cidr, 4, 0)
  availability_zone       = data.aws_availability_zones.here[0].names[0]
  map_public_ip_on_launch = true
  tags                    = merge(local.tags, { Name = var.name })

  lifecycle {
    ignore_changes = [availability_zone] # AWS may list a new zone first
  }
}

resource "aws_route_table" "filon" {
  count  = var.subnet == "" ? 1 : 0
  vpc_id = aws_vpc.filon[0].id
  tags   = merge(local.tags, { Name = var.name })
}

resource "aws_route" "out" {
  count                  = var.subnet == "" ? 1 : 0
  route_table_id         = aws_route_table.filon[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.filon[0].id
}

resource "aws_route_table_association" "filon" {
  count          = var.subnet == "" ? 1 : 0
  subnet_id      = aws_subnet.filon[0].id
  route_table_id = aws_route_table.filon[0].id
}

# costs nothing, and keeps the table off the internet
resource "aws_vpc_endpoint" "s3" {
  count             = var.subnet == "" ? 1 : 0
  vpc_id            = aws_vpc.filon[0].id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.filon[0].id]
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}

# EMR writes the rules between the nodes into these two groups itself
resource "aws_security_group" "primary" {
  name                   = "${var.name}-primary"
  description            = "Primary node of ${var.name}"
  vpc_id                 = local.vpc
  revoke_rules_on_delete = true # the two groups name each other: neither could be deleted first
  tags                   = local.tags
}

resource "aws_security_group" "nodes" {
  name                   = "${var.name}-nodes"
  description            = "Core and task nodes of ${var.name}"
  vpc_id                 = local.vpc
  revoke_rules_on_delete = true
  tags                   = local.tags
}

resource "aws_vpc_security_group_egress_rule" "primary" {
  security_group_id = aws_security_group.primary.id
  description       = "AWS, package indexes"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "nodes" {
  security_group_id = aws_security_group.nodes.id
  description       = "AWS, package indexes"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
  tags              = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each          = toset(var.ssh_cidrs)
  security_group_id = aws_security_group.primary.id
  description       = "SSH"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  tags              = local.tags
}

resource "aws_security_group" "service" {
  count                  = local.private ? 1 : 0
  name                   = "${var.name}-service"
  description            = "EMR itself, to the nodes of ${var.name}"
  vpc_id                 = local.vpc
  revoke_rules_on_delete = true
  tags                   = local.tags
}

# EMR does not write these itself into a group that is not its own
resource "aws_vpc_security_group_ingress_rule" "service" {
  for_each = local.private ? {
    primary     = { group = aws_security_group.primary.id, port = 9443 } # EMR 7 and older
    primary_tls = { group = aws_security_group.primary.id, port = 443 }  # EMR 8
    nodes_tls   = { group = aws_security_group.nodes.id, port = 443 }
  } : {}
  security_group_id            = aws_security_group.service[0].id
  description                  = "Nodes to EMR"
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_egress_rule" "service" {
  for_each                     = local.private ? { primary = aws_security_group.primary.id, nodes = aws_security_group.nodes.id } : {}
  security_group_id            = aws_security_group.service[0].id
  description                  = "EMR to ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 8443
  to_port                      = 8443
  tags                         = local.tags
}
